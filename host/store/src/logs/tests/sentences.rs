use std::{sync::atomic::AtomicU64, time::Duration};

use futures_util::{FutureExt, TryStreamExt};

use crate::logs::*;

fn run(generation: u32) -> RunId {
    RunId { container: "c".into(), generation }
}

fn all() -> LogQuery {
    LogQuery { stdout: true, stderr: true, ..LogQuery::default() }
}

fn follow() -> LogQuery {
    LogQuery { follow: true, ..all() }
}

/// The file that holds a log from its beginning.
const FIRST: &str = "00000000000000000000.log";

async fn text(logs: &ContainerLogs, query: LogQuery) -> String {
    whole(logs.read("c", query).await.unwrap()).await
}

async fn whole(stream: BoxStream<'static, Result<LogChunk, LogError>>) -> String {
    let chunks: Vec<LogChunk> = stream.try_collect().await.unwrap();
    chunks.iter().map(|chunk| String::from_utf8_lossy(&chunk.bytes).into_owned()).collect()
}

async fn write(logs: &ContainerLogs, generation: u32, bytes: &'static str) {
    logs.append(&run(generation), Output::Stdout, bytes.into()).await.unwrap();
}

#[tokio::test]
async fn a_follower_gets_all_until_the_run_ends_and_no_byte_of_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    logs.begin(&run(1), None).await.unwrap();
    write(&logs, 1, "early ").await;
    let follower = tokio::spawn(whole(logs.read("c", follow()).await.unwrap()));
    for _ in 0..50 {
        write(&logs, 1, "x").await;
        tokio::task::yield_now().await;
    }
    logs.finish(&run(1)).await.unwrap();
    logs.begin(&run(2), None).await.unwrap();
    write(&logs, 2, "next").await;
    assert_eq!(follower.await.unwrap(), format!("early {}", "x".repeat(50)));
    // Now the second run is the one that is followed, with what came before.
    let follower = logs.read("c", LogQuery { tail: Some(1), ..follow() }).await.unwrap();
    write(&logs, 2, " part\n").await;
    logs.finish(&run(2)).await.unwrap();
    assert!(whole(follower).await.ends_with("next part\n"));
}

#[tokio::test]
async fn a_follower_may_come_before_the_run_begins_and_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    for generation in 1..4 {
        let from = logs.end("c").await.unwrap();
        let mut stream = logs.read("c", LogQuery { from: Some(from), ..follow() }).await.unwrap();
        assert!(stream.next().now_or_never().is_none());
        logs.begin(&run(generation), None).await.unwrap();
        assert!(stream.next().now_or_never().is_none());
        write(&logs, generation, "a").await;
        write(&logs, generation, "b").await;
        logs.finish(&run(generation)).await.unwrap();
        assert_eq!(whole(stream).await, "ab");
    }
    assert_eq!(text(&logs, follow()).await, "ababab", "nothing is live: following ends at once");
}

#[tokio::test]
async fn an_attach_that_races_with_the_exit_ends() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    logs.begin(&run(1), None).await.unwrap();
    let from = logs.end("c").await.unwrap();
    write(&logs, 1, "last words").await;
    logs.finish(&run(1)).await.unwrap();
    assert_eq!(text(&logs, LogQuery { from: Some(from), ..follow() }).await, "last words");
    // Even when nothing was written.
    logs.begin(&run(2), None).await.unwrap();
    let from = logs.end("c").await.unwrap();
    logs.finish(&run(2)).await.unwrap();
    assert_eq!(text(&logs, LogQuery { from: Some(from), ..follow() }).await, "");
}

#[tokio::test]
async fn marks_are_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    logs.begin(&run(2), None).await.unwrap();
    let end = logs.end("c").await.unwrap();
    logs.begin(&run(2), None).await.unwrap();
    logs.finish(&run(1)).await.unwrap();
    assert_eq!(logs.end("c").await.unwrap(), end);
    logs.finish(&run(2)).await.unwrap();
    let end = logs.end("c").await.unwrap();
    logs.finish(&run(2)).await.unwrap();
    assert_eq!(logs.end("c").await.unwrap(), end);
    // A run that never began can end, so that those who wait for it do not wait for ever.
    let waiting = logs.read("c", LogQuery { from: Some(end), ..follow() }).await.unwrap();
    logs.finish(&run(3)).await.unwrap();
    assert_eq!(whole(waiting).await, "");
}

#[tokio::test]
async fn a_run_goes_on_after_a_restart_of_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    {
        let logs = ContainerLogs::open(folder.path()).unwrap();
        logs.begin(&run(1), None).await.unwrap();
        write(&logs, 1, "before ").await;
    }
    let logs = ContainerLogs::open(folder.path()).unwrap();
    assert_eq!(logs.length(&run(1), Output::Stdout).await.unwrap(), 7);
    let follower = logs.read("c", follow()).await.unwrap();
    logs.begin(&run(1), None).await.unwrap();
    write(&logs, 1, "after").await;
    logs.finish(&run(1)).await.unwrap();
    assert_eq!(whole(follower).await, "before after");
    assert_eq!(logs.length(&run(1), Output::Stdout).await.unwrap(), 12);
}

#[tokio::test]
async fn lines_come_one_by_one_each_output_apart() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    logs.begin(&run(1), None).await.unwrap();
    for (output, bytes) in [
        (Output::Stdout, "ou"),
        (Output::Stderr, "er"),
        (Output::Stdout, "t\n\npart"),
        (Output::Stderr, "r\n"),
    ] {
        logs.append(&run(1), output, bytes.into()).await.unwrap();
    }
    let stream = logs.read("c", LogQuery { lines: true, ..all() }).await.unwrap();
    let lines: Vec<_> = stream.map_ok(|c| (c.output, c.bytes)).try_collect().await.unwrap();
    let expected = [
        (Output::Stdout, "out\n"),
        (Output::Stdout, "\n"),
        (Output::Stderr, "err\n"),
        (Output::Stdout, "part"),
    ];
    assert_eq!(lines, expected.map(|(o, b)| (o, Bytes::from(b))));
}

#[tokio::test]
async fn a_line_without_end_comes_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape { max_line: 4, ..Shape::default() };
    let logs = ContainerLogs::with_shape(folder.path().into(), shape);
    write(&logs, 1, "abc").await;
    write(&logs, 1, "defghi\nj").await;
    let stream = logs.read("c", LogQuery { lines: true, ..all() }).await.unwrap();
    let lines: Vec<_> = stream.map_ok(|c| c.bytes).try_collect().await.unwrap();
    assert_eq!(lines, ["abcd", "efgh", "i\n", "j"].map(Bytes::from));
}

#[tokio::test]
async fn a_record_that_a_crash_cut_is_cut_off_wherever_it_was() {
    let record = format::HEADER + "second".len();
    for kept in 0..record {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c").join(FIRST);
        {
            let logs = ContainerLogs::open(folder.path()).unwrap();
            write(&logs, 1, "first").await;
            write(&logs, 1, "second").await;
        }
        let length = std::fs::metadata(&file).unwrap().len();
        let open = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
        open.set_len(length - (record - kept) as u64).unwrap();
        let logs = ContainerLogs::open(folder.path()).unwrap();
        assert_eq!(logs.length(&run(1), Output::Stdout).await.unwrap(), 5);
        write(&logs, 1, " third").await;
        assert_eq!(text(&logs, all()).await, "first third");
    }
}

#[tokio::test]
async fn zeros_that_a_power_cut_left_are_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c").join(FIRST);
    write(&ContainerLogs::open(folder.path()).unwrap(), 1, "kept").await;
    let open = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    open.set_len(10_000).unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    assert_eq!(text(&logs, all()).await, "kept");
}

#[tokio::test]
async fn damage_in_the_middle_is_named_with_its_place_and_can_be_removed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c").join(FIRST);
    {
        let logs = ContainerLogs::open(folder.path()).unwrap();
        write(&logs, 1, "first").await;
        write(&logs, 1, "second").await;
    }
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[9] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    let error = logs.length(&run(1), Output::Stdout).await.unwrap_err();
    assert!(matches!(&error, LogError::Damaged { container, offset: 0, .. } if container == "c"), "{error}");
    assert!(matches!(logs.read("c", all()).await, Err(LogError::Damaged { .. })));
    logs.remove("c").await.unwrap();
    assert_eq!(logs.end("c").await.unwrap(), Position(0));
}

#[tokio::test]
async fn a_broken_or_missing_index_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let small = || Shape { index_every: 100, ..Shape::default() };
    {
        let logs = ContainerLogs::with_shape(folder.path().into(), small());
        for generation in 1..5 {
            for _ in 0..20 {
                write(&logs, generation, "line\n").await;
            }
        }
    }
    let index = folder.path().join("c").join(index::FILE);
    let good = std::fs::read(&index).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for bytes in [&[][..], &good[..good.len() - 7], &flipped, &[&good[..], b"junk"].concat()] {
        std::fs::write(&index, bytes).unwrap();
        let logs = ContainerLogs::with_shape(folder.path().into(), small());
        for generation in 1..5 {
            assert_eq!(logs.length(&run(generation), Output::Stdout).await.unwrap(), 100);
        }
        assert_eq!(text(&logs, LogQuery { tail: Some(2), ..all() }).await, "line\nline\n");
        assert_eq!(std::fs::read(&index).unwrap(), good);
    }
}

#[tokio::test]
async fn a_query_on_a_large_log_reads_little_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let chunk = Bytes::from(format!("{}\n", "x".repeat(99)).repeat(640));
    let size = 100 << 20;
    {
        let logs = ContainerLogs::open(folder.path()).unwrap();
        for _ in 0..size / chunk.len() {
            logs.append(&run(1), Output::Stdout, chunk.clone()).await.unwrap();
        }
    }
    let little = 2 << 20;
    let logs = ContainerLogs::open(folder.path()).unwrap();
    let kept = usize::try_from(logs.length(&run(1), Output::Stdout).await.unwrap()).unwrap();
    assert_eq!(kept, size / chunk.len() * chunk.len());
    assert!(logs.bytes_read() < little, "opening: {}", logs.bytes_read());
    for query in [
        LogQuery { tail: Some(10), lines: true, ..all() },
        LogQuery { tail: Some(10), ..all() },
        LogQuery { stdout: false, tail: Some(10), ..all() },
        LogQuery { since: Some(std::time::SystemTime::now() + Duration::from_secs(60)), ..all() },
        LogQuery { until: Some(std::time::UNIX_EPOCH), tail: Some(3), ..all() },
    ] {
        let before = logs.bytes_read();
        let length = text(&logs, query.clone()).await.len();
        let lines = u64::from(query.stdout && query.since.is_none() && query.until.is_none()) * 10;
        assert_eq!(length as u64, lines * 100);
        assert!(logs.bytes_read() - before < little, "{query:?}: {}", logs.bytes_read() - before);
    }
    assert_eq!(text(&logs, all()).await.len(), kept);
}

#[tokio::test]
async fn a_thousand_containers_keep_few_files_open() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    let id = |i: usize| RunId { container: format!("{i:064x}"), generation: 1 };
    let open = || {
        let here = std::fs::canonicalize(folder.path()).unwrap();
        let links = std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|e| std::fs::read_link(e.unwrap().path()).ok());
        links.filter(|target| target.starts_with(&here)).count()
    };
    for round in 1..=2 {
        for i in 0..1000 {
            if round == 1 {
                logs.begin(&id(i), None).await.unwrap();
            }
            logs.append(&id(i), Output::Stdout, "x".into()).await.unwrap();
        }
        assert!(open() <= 2 * (tuning::OPEN_WRITERS + 1), "{}", open());
    }
    for i in 0..1000 {
        assert_eq!(logs.length(&id(i), Output::Stdout).await.unwrap(), 2);
        logs.finish(&id(i)).await.unwrap();
    }
    logs.append(&run(1), Output::Stdout, "x".into()).await.unwrap();
    assert!(lock(&logs.logs).len() <= tuning::KNOWN_LOGS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_and_followers_of_many_containers_do_not_hinder_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    let tasks = (0..20).map(|i| {
        let logs = Arc::clone(&logs);
        tokio::spawn(async move {
            let run = RunId { container: format!("c{i}"), generation: 1 };
            logs.begin(&run, None).await.unwrap();
            let follower = tokio::spawn(whole(logs.read(&run.container, follow()).await.unwrap()));
            let mut expected = String::new();
            for part in 0..200 {
                let bytes = format!("{part:05}").repeat(1 + part * 100 % 9000);
                expected.push_str(&bytes);
                logs.append(&run, Output::Stdout, bytes.into()).await.unwrap();
            }
            logs.finish(&run).await.unwrap();
            assert!(follower.await.unwrap() == expected);
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn removing_ends_followers_and_forgets_everything() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    logs.begin(&run(1), None).await.unwrap();
    write(&logs, 1, "gone").await;
    let mut follower = logs.read("c", follow()).await.unwrap();
    assert!(follower.next().await.unwrap().is_ok());
    logs.remove("c").await.unwrap();
    assert!(follower.next().await.is_none());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    logs.remove("c").await.unwrap();
    logs.remove("never there").await.unwrap_err();
    logs.begin(&run(1), None).await.unwrap();
    write(&logs, 1, "new").await;
    assert_eq!(text(&logs, all()).await, "new");
}

#[tokio::test]
async fn following_ends_when_until_is_past() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    logs.begin(&run(1), None).await.unwrap();
    write(&logs, 1, "now\n").await;
    let until = std::time::SystemTime::now() + Duration::from_millis(20);
    assert_eq!(text(&logs, LogQuery { until: Some(until), ..follow() }).await, "now\n");
    write(&logs, 1, "later\n").await;
    assert_eq!(text(&logs, LogQuery { until: Some(until), ..follow() }).await, "now\n");
}

#[tokio::test]
async fn an_id_that_is_a_path_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ContainerLogs::with_shape(
        folder.path().join("logs"),
        Shape { counter: Arc::<AtomicU64>::default(), ..Shape::default() },
    );
    for id in ["", "..", "../x", "a/b", ".hidden", "a\0"] {
        assert!(matches!(logs.end(id).await, Err(LogError::Io { .. })), "{id:?}");
    }
}

use std::{fs, path::Path};

use futures_util::TryStreamExt;

use crate::logs::*;

const TWO_KILOBYTES: Bounds = Bounds { file_bytes: 1000, files: 2 };

fn run(generation: u32) -> RunId {
    RunId { container: "c".into(), generation }
}

fn all() -> LogQuery {
    LogQuery { stdout: true, stderr: true, ..LogQuery::default() }
}

async fn whole(stream: BoxStream<'static, Result<LogChunk, LogError>>) -> String {
    let chunks: Vec<LogChunk> = stream.try_collect().await.unwrap();
    chunks.iter().map(|chunk| String::from_utf8_lossy(&chunk.bytes).into_owned()).collect()
}

async fn text(logs: &ContainerLogs, query: LogQuery) -> String {
    whole(logs.read("c", query).await.unwrap()).await
}

/// Lines of 10 bytes, 42 with what the store adds.
async fn write(logs: &ContainerLogs, generation: u32, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let line = format!("line {number:04}\n");
        logs.append(&run(generation), Output::Stdout, line.into()).await.unwrap();
    }
}

fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|number| format!("line {number:04}\n")).collect()
}

fn files(folder: &Path) -> Vec<u64> {
    let entries = fs::read_dir(folder.join("c")).unwrap().map(|entry| entry.unwrap());
    let logs = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".log"));
    logs.map(|entry| entry.metadata().unwrap().len()).collect()
}

#[tokio::test]
async fn a_bounded_log_keeps_its_newest_lines_in_a_few_files() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    logs.begin(&run(1), Some(TWO_KILOBYTES)).await.unwrap();
    write(&logs, 1, 0..1000).await;
    let sizes = files(folder.path());
    assert!(sizes.len() == 2 && sizes.iter().all(|size| *size <= 1000), "{sizes:?}");
    let kept = text(&logs, all()).await;
    assert!(kept.len() > 230 && lines(0..1000).ends_with(&kept), "{kept}");
    assert_eq!(text(&logs, LogQuery { tail: Some(3), ..all() }).await, lines(997..1000));
    assert!(logs.location("c").unwrap().exists());
}

#[tokio::test]
async fn one_file_is_begun_anew_when_it_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    logs.begin(&run(1), Some(Bounds { file_bytes: 100, files: 1 })).await.unwrap();
    write(&logs, 1, 0..5).await;
    assert_eq!(text(&logs, all()).await, lines(3..5));
    // A write larger than a file is kept all the same.
    logs.append(&run(1), Output::Stdout, "x".repeat(500).into()).await.unwrap();
    assert_eq!(text(&logs, all()).await, "x".repeat(500));
    assert_eq!(files(folder.path()), [532]);
}

#[tokio::test]
async fn one_large_write_is_kept_as_far_as_the_files_reach() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    logs.begin(&run(1), Some(Bounds { file_bytes: 5000, files: 2 })).await.unwrap();
    logs.append(&run(1), Output::Stdout, lines(0..9000).into()).await.unwrap();
    let sizes = files(folder.path());
    assert!(sizes.len() == 2 && sizes.iter().all(|size| *size <= 5000), "{sizes:?}");
    let kept = text(&logs, all()).await;
    assert!(kept.len() > 4000 && lines(0..9000).ends_with(&kept) && kept.starts_with("line"), "{kept}");
}

#[tokio::test]
async fn what_was_kept_for_a_slow_reader_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    logs.begin(&run(1), Some(TWO_KILOBYTES)).await.unwrap();
    write(&logs, 1, 0..1).await;
    let mut reader = logs.read("c", LogQuery { hold: true, follow: true, ..all() }).await.unwrap();
    assert!(reader.next().await.is_some());
    write(&logs, 1, 1..1000).await;
    assert!(files(folder.path()).len() > 2);
    drop(reader);
    assert_eq!(files(folder.path()).len(), 2);
    let kept = text(&logs, all()).await;
    assert!(lines(0..1000).ends_with(&kept), "{kept}");
}

#[tokio::test]
async fn how_much_a_run_has_written_is_known_after_all_of_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    {
        let logs = ContainerLogs::open(folder.path()).unwrap();
        logs.begin(&run(1), Some(TWO_KILOBYTES)).await.unwrap();
        logs.append(&run(1), Output::Stderr, "lost".into()).await.unwrap();
        write(&logs, 1, 0..30).await;
        logs.finish(&run(1)).await.unwrap();
        logs.begin(&run(2), Some(TWO_KILOBYTES)).await.unwrap();
        // So much that the index is written again several times.
        write(&logs, 2, 0..5000).await;
    }
    let index = fs::metadata(folder.path().join("c/index")).unwrap().len();
    assert!(index < 64 * 200, "the index keeps {index} bytes");
    let logs = ContainerLogs::open(folder.path()).unwrap();
    assert_eq!(logs.length(&run(1), Output::Stdout).await.unwrap(), 300);
    assert_eq!(logs.length(&run(1), Output::Stderr).await.unwrap(), 4);
    assert_eq!(logs.length(&run(2), Output::Stdout).await.unwrap(), 50_000);
    logs.begin(&run(2), Some(TWO_KILOBYTES)).await.unwrap();
    write(&logs, 2, 5000..5100).await;
    assert_eq!(text(&logs, LogQuery { tail: Some(2), ..all() }).await, lines(5098..5100));
}

#[tokio::test]
async fn a_follower_goes_on_from_file_to_file() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    logs.begin(&run(1), Some(TWO_KILOBYTES)).await.unwrap();
    let mut stream = logs.read("c", LogQuery { follow: true, ..all() }).await.unwrap();
    let mut got = String::new();
    for number in 0..200 {
        write(&logs, 1, number..number + 1).await;
        while got.len() < (number as usize + 1) * 10 {
            let chunk = stream.try_next().await.unwrap().unwrap();
            got.push_str(std::str::from_utf8(&chunk.bytes).unwrap());
        }
    }
    logs.finish(&run(1)).await.unwrap();
    assert_eq!(got + &whole(stream).await, lines(0..200));
}

#[tokio::test]
async fn nothing_is_dropped_that_an_attached_client_has_yet_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    logs.begin(&run(1), Some(TWO_KILOBYTES)).await.unwrap();
    let from = Some(logs.end("c").await.unwrap());
    let query = LogQuery { from, hold: true, follow: true, ..all() };
    let (slow, gone) = (logs.read("c", query.clone()).await.unwrap(), logs.read("c", query).await.unwrap());
    write(&logs, 1, 0..500).await;
    drop(gone);
    logs.finish(&run(1)).await.unwrap();
    assert!(files(folder.path()).len() > 2);
    assert_eq!(whole(slow).await, lines(0..500));
    // With the last of them gone, what is too much goes as well.
    logs.begin(&run(2), Some(TWO_KILOBYTES)).await.unwrap();
    write(&logs, 2, 0..100).await;
    assert_eq!(files(folder.path()).len(), 2);
}

#[tokio::test]
async fn a_follower_that_is_overtaken_goes_on_with_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    logs.begin(&run(1), Some(TWO_KILOBYTES)).await.unwrap();
    write(&logs, 1, 0..10).await;
    for lines_wanted in [false, true] {
        let query = LogQuery { follow: true, lines: lines_wanted, ..all() };
        let stream = logs.read("c", query).await.unwrap();
        write(&logs, 1, 10..500).await;
        logs.append(&run(1), Output::Stdout, "end".into()).await.unwrap();
        logs.finish(&run(1)).await.unwrap();
        let got = whole(stream).await;
        assert!(got.ends_with(&(lines(490..500) + "end")), "{got}");
        logs.begin(&run(1), Some(TWO_KILOBYTES)).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_a_power_cut_left_incomplete_goes_with_what_is_older() {
    let folder = tempfile::tempdir().unwrap();
    let first = {
        let logs = ContainerLogs::open(folder.path()).unwrap();
        logs.begin(&run(1), Some(Bounds { file_bytes: 1000, files: 3 })).await.unwrap();
        write(&logs, 1, 0..60).await;
        logs.log("c").await.unwrap().files.discover().unwrap()
    };
    let middle = folder.path().join(format!("c/{:020}.log", first[1]));
    fs::File::options().write(true).open(&middle).unwrap().set_len(40).unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    let kept = text(&logs, all()).await;
    assert!(!kept.is_empty() && lines(0..60).ends_with(&kept));
    assert_eq!(logs.length(&run(1), Output::Stdout).await.unwrap(), 600);
    assert_eq!(files(folder.path()).len(), 1);
}

#[tokio::test]
async fn the_end_of_a_large_rotated_log_is_found_without_reading_it() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ContainerLogs::open(folder.path()).unwrap();
    logs.begin(&run(1), Some(Bounds { file_bytes: 4 << 20, files: 3 })).await.unwrap();
    for _ in 0..200 {
        logs.append(&run(1), Output::Stdout, (lines(0..1000) + &lines(0..9000)).into()).await.unwrap();
    }
    let before = logs.bytes_read();
    let got = text(&logs, LogQuery { tail: Some(2), ..all() }).await;
    assert_eq!(got, lines(8998..9000));
    assert!(logs.bytes_read() - before < 3 << 20, "{}", logs.bytes_read() - before);
}

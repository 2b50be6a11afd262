use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use super::*;

fn record(key: &str, content: &str) -> Record {
    Record { key: key.into(), content: content.into() }
}

fn put(kind: Kind, key: &str, content: &str) -> Change {
    Change::Put(kind, record(key, content))
}

#[tokio::test]
async fn a_commit_is_all_there_after_reopening_in_the_order_of_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/records.sqlite");
    {
        let records = Records::open(&path).unwrap();
        records
            .commit(vec![
                put(Kind::Container, "b", "{}"),
                put(Kind::Container, "a", "{\"x\":1}"),
                put(Kind::Image, "a", "other table"),
                put(Kind::Container, "c", "{}"),
                Change::Delete(Kind::Container, "c".into()),
                Change::Delete(Kind::Volume, "never there".into()),
            ])
            .await
            .unwrap();
        records.commit(vec![put(Kind::Container, "b", "{\"x\":2}")]).await.unwrap();
    }
    let records = Records::open(&path).unwrap();
    let found = records.load(Kind::Container).await.unwrap();
    assert_eq!(found, [record("a", "{\"x\":1}"), record("b", "{\"x\":2}")]);
    for kind in Kind::ALL {
        records.load(kind).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_concurrent_commits_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let records = Records::open(folder.path().join("r")).unwrap();
    let tasks: Vec<_> = (0..500)
        .map(|i| {
            let records = Arc::clone(&records);
            tokio::spawn(
                async move { records.commit(vec![put(Kind::Intent, &format!("{i:03}"), "{}")]).await },
            )
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(records.load(Kind::Intent).await.unwrap().len(), 500);
}

#[test]
fn a_second_daemon_is_refused_and_told_whose_state_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r");
    let first = Records::open(&path).unwrap();
    let refusal = Records::open(&path).unwrap_err().to_string();
    assert!(refusal.contains(&format!("process {}", std::process::id())), "{refusal}");
    drop(first);
    Records::open(&path).unwrap();
}

#[test]
fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r");
    drop(Records::open(&path).unwrap());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    let refusal = Records::open(&path).unwrap_err().to_string();
    assert!(refusal.contains("newer sockerless (schema 99"), "{refusal}");
}

#[test]
fn a_file_that_is_no_database_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r");
    let junk = vec![b'x'; 4096];
    std::fs::write(&path, &junk).unwrap();
    let error = Records::open(&path).unwrap_err().to_string();
    assert!(error.contains("is damaged") && error.contains("backup"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), junk);
}

/// Not a test by itself: the process that [`nothing_acknowledged_is_lost_to_kill_9`] kills.
#[tokio::test]
async fn child_that_commits_until_it_is_killed() {
    let Ok(path) = std::env::var("SOCKERLESS_TEST_COMMIT_TO") else { return };
    let records = Records::open(path).unwrap();
    for i in 0_u64.. {
        records
            .commit(vec![
                put(Kind::Container, &format!("{i:08}"), "{}"),
                put(Kind::Daemon, "n", &i.to_string()),
            ])
            .await
            .unwrap();
        println!("acknowledged {i}");
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_to_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r");
    let mut expected = 0;
    for _round in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_that_commits_until_it_is_killed", "--nocapture", "--test-threads=1"])
            .env("SOCKERLESS_TEST_COMMIT_TO", &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let number =
            |line: String| line.split_once("acknowledged ").and_then(|(_, n)| n.trim().parse::<usize>().ok());
        let mut acknowledged = lines.by_ref().filter_map(number).nth(50).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // What was in the pipe when it died was acknowledged as well.
        acknowledged = lines.filter_map(number).last().unwrap_or(acknowledged);
        expected = expected.max(acknowledged + 1);

        let records = Records::open(&path).unwrap();
        let found = records.load(Kind::Container).await.unwrap();
        assert!(found.len() >= expected, "{} of {expected}", found.len());
        assert_eq!(found[acknowledged].key, format!("{acknowledged:08}"));
        // Both halves of a commit are there or neither.
        let last: usize = records.load(Kind::Daemon).await.unwrap()[0].content.parse().unwrap();
        assert_eq!(found[last].key, format!("{last:08}"));
    }
}

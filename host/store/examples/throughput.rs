//! Measures the log: `cargo run --release -p sockerless-store --example throughput`.
//! Prints MB/s (or operations per second) for each way of writing and reading; judges nothing.
#![allow(clippy::unwrap_used)]

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use futures_util::TryStreamExt;
use sockerless_ports::{
    link::{Output, RunId},
    logs::{LogQuery, Logs},
};
use sockerless_store::ContainerLogs;

const SUM: usize = 1 << 30;

fn run(container: &str) -> RunId {
    RunId { container: container.into(), generation: 1 }
}

async fn append(logs: &ContainerLogs, container: &str, chunk: usize, sum: usize) {
    let bytes = Bytes::from("0123456789abcde\n".repeat(chunk / 16));
    for _ in 0..sum / chunk {
        logs.append(&run(container), Output::Stdout, bytes.clone()).await.unwrap();
    }
}

async fn read(logs: &ContainerLogs, container: &str, query: LogQuery) -> usize {
    let stream = logs.read(container, LogQuery { stdout: true, stderr: true, ..query }).await.unwrap();
    stream.try_fold(0, |sum, chunk| async move { Ok(sum + chunk.bytes.len()) }).await.unwrap()
}

fn tell(what: &str, bytes: usize, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    println!("{what:45} {:8.0} MB/s  {seconds:.3} s", bytes as f64 / 1e6 / seconds);
}

#[tokio::main]
async fn main() {
    let folder = std::env::temp_dir().join(format!("throughput-{}", std::process::id()));
    let logs = ContainerLogs::open(&folder).unwrap();

    for chunk in [64 << 10, 16 << 10, 1 << 10, 64] {
        let (container, sum) = (format!("c{chunk}"), if chunk < 1024 { SUM / 32 } else { SUM });
        logs.begin(&run(&container), None).await.unwrap();
        let began = Instant::now();
        append(&logs, &container, chunk, sum).await;
        tell(
            &format!("append {chunk} B ({:.0}/s)", (sum / chunk) as f64 / began.elapsed().as_secs_f64()),
            sum,
            began,
        );
        let began = Instant::now();
        tell(&format!("read {chunk} B"), read(&logs, &container, LogQuery::default()).await, began);
        let began = Instant::now();
        tell(
            &format!("read {chunk} B by line"),
            read(&logs, &container, LogQuery { lines: true, ..LogQuery::default() }).await,
            began,
        );
        let began = Instant::now();
        let tail = LogQuery { tail: Some(100), ..LogQuery::default() };
        tell("tail 100", read(&logs, &container, tail).await, began);
        logs.remove(&container).await.unwrap();
    }

    let began = Instant::now();
    logs.begin(&run("followed"), None).await.unwrap();
    let follower = tokio::spawn({
        let logs = Arc::clone(&logs);
        async move { read(&logs, "followed", LogQuery { follow: true, ..LogQuery::default() }).await }
    });
    append(&logs, "followed", 64 << 10, SUM).await;
    logs.finish(&run("followed")).await.unwrap();
    let sum = follower.await.unwrap();
    tell("append 65536 B and follow at the same time", sum, began);
    std::fs::remove_dir_all(folder).unwrap();
}

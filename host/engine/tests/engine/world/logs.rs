use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use sockerless_ports::{
    Logs,
    link::{Output, RunId},
    logs::{Bounds, LogChunk, LogError, LogQuery, Position},
};
use tokio::sync::watch;

/// Logs in memory. Positions count chunks.
#[derive(Default)]
pub struct FakeLogs(Mutex<HashMap<String, watch::Sender<Log>>>);

#[derive(Default, Clone)]
struct Log {
    chunks: Vec<(u32, LogChunk)>,
    live: bool,
    gone: bool,
}

impl FakeLogs {
    fn change<T>(&self, container: &str, change: impl FnOnce(&mut Log) -> T) -> T {
        let mut logs = self.0.lock().unwrap();
        let log = logs.entry(container.to_owned()).or_default();
        let mut result = None;
        log.send_modify(|log| result = Some(change(log)));
        result.unwrap()
    }

    pub fn close_readers(&self) {
        for log in self.0.lock().unwrap().values() {
            log.send_modify(|log| log.live = false);
        }
    }

    pub fn exists(&self, container: &str) -> bool {
        self.0.lock().unwrap().get(container).is_some_and(|log| !log.borrow().gone)
    }
}

#[async_trait]
impl Logs for FakeLogs {
    fn location(&self, _: &str) -> Option<std::path::PathBuf> {
        None
    }

    async fn begin(&self, run: &RunId, _: Option<Bounds>) -> Result<(), LogError> {
        self.change(&run.container, |log| (log.live, log.gone) = (true, false));
        Ok(())
    }

    async fn append(&self, run: &RunId, output: Output, bytes: Bytes) -> Result<(), LogError> {
        tokio::task::yield_now().await;
        self.change(&run.container, |log| {
            log.chunks.push((
                run.generation,
                LogChunk { time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000), output, bytes },
            ));
        });
        Ok(())
    }

    async fn length(&self, run: &RunId, output: Output) -> Result<u64, LogError> {
        Ok(self.change(&run.container, |log| {
            let own = log
                .chunks
                .iter()
                .filter(|(generation, chunk)| *generation == run.generation && chunk.output == output);
            own.map(|(_, chunk)| chunk.bytes.len() as u64).sum()
        }))
    }

    async fn finish(&self, run: &RunId) -> Result<(), LogError> {
        self.change(&run.container, |log| log.live = false);
        Ok(())
    }

    async fn end(&self, container: &str) -> Result<Position, LogError> {
        Ok(Position(self.change(container, |log| log.chunks.len() as u64)))
    }

    async fn read(
        &self,
        container: &str,
        query: LogQuery,
    ) -> Result<BoxStream<'static, Result<LogChunk, LogError>>, LogError> {
        let receiver = self.0.lock().unwrap().entry(container.to_owned()).or_default().subscribe();
        let start = query.from.unwrap_or_default().0 as usize;
        let by_line = query.lines;
        let chunks = stream::unfold((receiver, start, query), |(mut receiver, mut next, query)| async move {
            loop {
                let log = receiver.borrow_and_update().clone();
                if let Some((_, chunk)) = log.chunks.get(next) {
                    next += 1;
                    let wanted = if chunk.output == Output::Stdout { query.stdout } else { query.stderr };
                    if wanted {
                        return Some((Ok(chunk.clone()), (receiver, next, query)));
                    }
                    continue;
                }
                if !query.follow || !log.live || log.gone || receiver.changed().await.is_err() {
                    return None;
                }
            }
        });
        let lines = chunks.flat_map(move |chunk: Result<LogChunk, LogError>| {
            let LogChunk { time, output, bytes } = chunk.unwrap();
            let parts: Vec<_> = if by_line {
                bytes.split_inclusive(|byte| *byte == b'\n').map(|line| bytes.slice_ref(line)).collect()
            } else {
                vec![bytes]
            };
            stream::iter(parts).map(move |bytes| Ok(LogChunk { time, output, bytes }))
        });
        Ok(lines.boxed())
    }

    async fn remove(&self, container: &str) -> Result<(), LogError> {
        self.change(container, |log| *log = Log { gone: true, ..Log::default() });
        Ok(())
    }
}

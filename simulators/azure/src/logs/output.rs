//! A container's output, line by line, into the log.
//!
//! What is above the rate is dropped and counted in a line of its own; what is below waits for the writer when the queue is
//! full. So memory is bounded, and a container that writes much is not held up for long.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use sockerless_simulator_common::Profile;
use sockerless_simulator_common::rate::Bucket;
use tokio::sync::mpsc;

use super::Message;
use super::store::{Row, Source};
use crate::profile::Step;
use crate::{limits, time};

/// Whose output it is.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The job, of a job's replica.
    pub job: Option<String>,
    /// The app, of an app's replica.
    pub app: Option<String>,
    /// The replica.
    pub replica: String,
}

/// The log of a container.
pub struct ContainerLog {
    source: Arc<Source>,
    sender: mpsc::Sender<Message>,
    profile: Profile,
    lines: Bucket,
    /// Lines whose end has not come, of stdout and stderr.
    partial: [Vec<u8>; 2],
    time: i64,
    /// When what is written now can be found: lines that are written together are taken together.
    received: i64,
    dropped: u64,
}

const STREAMS: [&str; 2] = ["stdout", "stderr"];

impl ContainerLog {
    pub(super) fn new(
        origin: &Origin,
        name: &str,
        image: &str,
        profile: Profile,
        sender: mpsc::Sender<Message>,
    ) -> Self {
        let source = Source {
            job: origin.job.clone().unwrap_or_default(),
            app: origin.app.clone().unwrap_or_default(),
            replica: origin.replica.clone(),
            container: name.to_owned(),
            image: image.to_owned(),
        };
        Self {
            source: Arc::new(source),
            sender,
            profile,
            lines: Bucket::new(limits::LOG_LINES_PER_SECOND, limits::LOG_LINES_BURST, Instant::now()),
            partial: [Vec::new(), Vec::new()],
            time: 0,
            received: 0,
            dropped: 0,
        }
    }

    /// Takes a chunk of output; waits when the log cannot keep up.
    pub async fn write(&mut self, stderr: bool, time: SystemTime, bytes: &[u8]) {
        let rows = self.take(usize::from(stderr), time, bytes, Instant::now());
        self.send(rows).await;
    }

    /// Takes what was left without a newline, and says what was dropped.
    pub async fn close(mut self) {
        self.arrive();
        let mut rows = Vec::new();
        for index in 0..2 {
            let partial = std::mem::take(&mut self.partial[index]);
            if !partial.is_empty() {
                rows.push(self.row(index, &partial));
            }
        }
        rows.extend(self.dropped());
        self.send(rows).await;
    }

    async fn send(&self, rows: Vec<Row>) {
        // The writer ends with the runtime alone.
        if !rows.is_empty() && self.sender.send(Message::Rows(rows)).await.is_err() {
            tracing::debug!("the log's writer is gone");
        }
    }

    fn take(&mut self, index: usize, time: SystemTime, bytes: &[u8], now: Instant) -> Vec<Row> {
        let nanos = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        self.time = i64::try_from(nanos).unwrap_or(i64::MAX);
        self.arrive();
        self.lines.fill(now);
        let mut rows = Vec::new();
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let mut piece = piece;
            while self.partial[index].len() + piece.len() > limits::LOG_LINE {
                let room = limits::LOG_LINE - self.partial[index].len();
                self.partial[index].extend_from_slice(&piece[..room]);
                piece = &piece[room..];
                self.end(index, &mut rows);
            }
            self.partial[index].extend_from_slice(piece);
            if pieces.peek().is_some() {
                self.end(index, &mut rows);
            }
        }
        rows
    }

    /// One line: logged, or dropped when it is above the rate.
    fn end(&mut self, index: usize, rows: &mut Vec<Row>) {
        let line = std::mem::take(&mut self.partial[index]);
        if !self.lines.holds(1.0) {
            self.dropped += 1;
            return;
        }
        self.lines.take(1.0);
        rows.extend(self.dropped());
        rows.push(self.row(index, &line));
    }

    fn row(&self, index: usize, line: &[u8]) -> Row {
        self.text(STREAMS[index], String::from_utf8_lossy(line).into_owned())
    }

    fn arrive(&mut self) {
        let lag = i64::try_from(self.profile.latency(Step::LogIngestion).as_nanos()).unwrap_or_default();
        self.received = time::to_nanos(time::now()).saturating_add(lag);
    }

    fn text(&self, stream: &str, text: String) -> Row {
        Row {
            id: 0,
            source: self.source.clone(),
            time: self.time,
            received: self.received,
            stream: stream.to_owned(),
            text,
        }
    }

    /// The line that says what was dropped since the last one.
    fn dropped(&mut self) -> Option<Row> {
        let count = std::mem::take(&mut self.dropped);
        let rate = limits::LOG_LINES_PER_SECOND;
        let text =
            format!("{count} lines of this container's output were not logged: more than {rate} a second.");
        (count > 0).then(|| self.text("stderr", text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> ContainerLog {
        let origin = Origin { job: Some("j".into()), app: None, replica: "j-1-a".into() };
        ContainerLog::new(&origin, "main", "i", Profile::Fast, mpsc::channel(1).0)
    }

    fn texts(rows: &[Row]) -> Vec<&str> {
        rows.iter().map(|row| row.text.as_str()).collect()
    }

    #[test]
    fn lines_are_put_together_across_chunks_and_streams_stay_apart() {
        let (mut log, now, time) = (log(), Instant::now(), SystemTime::now());
        assert_eq!(texts(&log.take(0, time, b"one\ntw", now)), ["one"]);
        assert_eq!(texts(&log.take(1, time, b"err\n", now)), ["err"]);
        assert_eq!(texts(&log.take(0, time, b"o\n\nthree", now)), ["two", ""]);
        assert_eq!(log.partial[0], b"three");
    }

    #[test]
    fn a_line_without_end_becomes_rows_of_bounded_size() {
        let mut log = log();
        let rows = log.take(0, SystemTime::now(), &vec![b'a'; limits::LOG_LINE * 2 + 5], Instant::now());
        assert_eq!((rows.len(), log.partial[0].len()), (2, 5));
    }

    #[test]
    fn what_is_above_the_rate_is_counted_and_said() {
        let (mut log, now, time) = (log(), Instant::now(), SystemTime::now());
        let total = limits::LOG_LINES_BURST as usize + 50;
        assert_eq!(log.take(0, time, "x\n".repeat(total).as_bytes(), now).len(), total - 50);
        let later = log.take(0, time, b"again\n", now + std::time::Duration::from_secs(1));
        assert!(texts(&later)[0].starts_with("50 lines"), "{later:?}");
    }
}

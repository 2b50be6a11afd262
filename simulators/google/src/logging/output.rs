//! A task's output, line by line, into the log.
//!
//! Output arrives far faster than a log can take it. What is above the rate (`limits::LOG_LINES_PER_SECOND` and its kin) is
//! dropped at the cost of counting its newlines, and an entry in the log `run.googleapis.com/varlog/system` says how much
//! it was; what is below waits for the writer when the queue is full. So memory is bounded and a task that writes
//! 100 MB is not held up.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::store::{EXECUTION, NewEntry, Source};
use super::{Message, insert_id};
use crate::profile::{Profile, Step};
use crate::rate::Bucket;
use crate::{ids, limits, time};

/// How long the lines are only counted once the rate is exceeded.
const PAUSE: Duration = Duration::from_millis(50);

/// Whose output it is.
#[derive(Debug, Clone)]
pub struct Origin {
    pub project: String,
    pub region: String,
    pub job: String,
    pub execution: String,
    pub task_index: i64,
    pub task_attempt: i64,
    /// Which of the task's containers, where there is more than one.
    pub container: Option<String>,
}

/// The log of one attempt of a task.
pub struct TaskLog {
    streams: [Stream; 2],
    system: Arc<Source>,
    sender: mpsc::Sender<Message>,
    sequence: Arc<AtomicU64>,
    profile: Profile,
    lines: Bucket,
    bytes: Bucket,
    paused_until: Option<Instant>,
    dropped_lines: u64,
    dropped_bytes: u64,
}

struct Stream {
    source: Arc<Source>,
    /// A line whose end has not come.
    partial: Vec<u8>,
    time: i64,
}

impl TaskLog {
    pub(super) fn new(
        origin: &Origin,
        profile: Profile,
        sender: mpsc::Sender<Message>,
        sequence: Arc<AtomicU64>,
    ) -> Self {
        let resource = json!({
            "type": "cloud_run_job",
            "labels": {"project_id": origin.project, "location": origin.region, "job_name": origin.job},
        });
        let mut labels = json!({
            "instanceId": ids::secret(),
            EXECUTION: origin.execution,
            "run.googleapis.com/task_index": origin.task_index.to_string(),
            "run.googleapis.com/task_attempt": origin.task_attempt.to_string(),
        });
        if let Some(container) = &origin.container {
            labels["container_name"] = json!(container);
        }
        let source = |log: &str| {
            Arc::new(Source {
                project: origin.project.clone(),
                log: format!("run.googleapis.com%2F{log}"),
                execution: origin.execution.clone(),
                resource: resource.to_string(),
                labels: labels.to_string(),
            })
        };
        let stream = |log: &str| Stream { source: source(log), partial: Vec::new(), time: 0 };
        let now = Instant::now();
        Self {
            streams: [stream("stdout"), stream("stderr")],
            system: source("varlog%2Fsystem"),
            sender,
            sequence,
            profile,
            lines: Bucket::new(limits::LOG_LINES_PER_SECOND, limits::LOG_LINES_BURST, now),
            bytes: Bucket::new(limits::LOG_BYTES_PER_SECOND, limits::LOG_BYTES_BURST, now),
            paused_until: None,
            dropped_lines: 0,
            dropped_bytes: 0,
        }
    }

    /// Takes a chunk of output; waits when the log cannot keep up.
    pub async fn write(&mut self, stderr: bool, time: SystemTime, bytes: &[u8]) {
        let entries = self.take(stderr, time, bytes, Instant::now());
        self.send(entries).await;
    }

    /// Takes what was left without a newline, and says what was dropped.
    pub async fn close(mut self) {
        let mut entries = Vec::new();
        for index in 0..2 {
            let partial = std::mem::take(&mut self.streams[index].partial);
            if !partial.is_empty() {
                entries.push(self.entry(index, &partial));
            }
        }
        entries.extend(self.dropped());
        self.send(entries).await;
    }

    async fn send(&self, entries: Vec<NewEntry>) {
        // The writer ends with the runtime alone.
        if !entries.is_empty() && self.sender.send(Message::Entries(entries)).await.is_err() {
            tracing::debug!("the log's writer is gone");
        }
    }

    fn take(&mut self, stderr: bool, time: SystemTime, bytes: &[u8], now: Instant) -> Vec<NewEntry> {
        let index = usize::from(stderr);
        self.lines.fill(now);
        self.bytes.fill(now);
        let mut entries = Vec::new();
        let nanos = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        self.streams[index].time = i64::try_from(nanos).unwrap_or(i64::MAX);
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.paused_until.is_some_and(|until| now < until) {
                rest = self.count(index, rest);
                break;
            }
            if self.paused_until.take().is_some() {
                entries.extend(self.dropped());
            }
            let Some(at) = rest.iter().position(|byte| *byte == b'\n') else { break };
            let partial = std::mem::take(&mut self.streams[index].partial);
            let whole = if partial.is_empty() { None } else { Some([&partial[..], &rest[..at]].concat()) };
            self.line(index, whole.as_deref().unwrap_or(&rest[..at]), now, &mut entries);
            rest = &rest[at + 1..];
        }
        self.keep(index, rest, now, &mut entries);
        entries
    }

    /// Counts the lines of a chunk as dropped and gives what is behind its last newline.
    fn count<'a>(&mut self, index: usize, rest: &'a [u8]) -> &'a [u8] {
        let Some(at) = rest.iter().rposition(|byte| *byte == b'\n') else { return rest };
        let lines = rest[..=at].iter().filter(|byte| **byte == b'\n').count();
        self.dropped_lines += lines as u64;
        self.dropped_bytes += (at + 1 + self.streams[index].partial.len()) as u64;
        self.streams[index].partial.clear();
        &rest[at + 1..]
    }

    /// Keeps the beginning of a line; one that is too long becomes entries before its end comes.
    fn keep(&mut self, index: usize, mut rest: &[u8], now: Instant, entries: &mut Vec<NewEntry>) {
        while self.streams[index].partial.len() + rest.len() > limits::LOG_LINE {
            let room = limits::LOG_LINE - self.streams[index].partial.len();
            self.streams[index].partial.extend_from_slice(&rest[..room]);
            let full = std::mem::take(&mut self.streams[index].partial);
            self.line(index, &full, now, entries);
            rest = &rest[room..];
        }
        self.streams[index].partial.extend_from_slice(rest);
    }

    /// One line: logged, or dropped when it is above the rate.
    fn line(&mut self, index: usize, line: &[u8], now: Instant, entries: &mut Vec<NewEntry>) {
        let size = line.len() as f64;
        if !self.lines.holds(1.0) || !self.bytes.holds(size) {
            self.dropped_lines += 1;
            self.dropped_bytes += line.len() as u64 + 1;
            self.paused_until = Some(now + PAUSE);
            return;
        }
        self.lines.take(1.0);
        self.bytes.take(size);
        entries.push(self.entry(index, line));
    }

    fn entry(&self, index: usize, line: &[u8]) -> NewEntry {
        let text = String::from_utf8_lossy(line);
        let (severity, rest) = payload(&text);
        let stream = &self.streams[index];
        self.new_entry(&stream.source, stream.time, severity, &rest)
    }

    fn new_entry(&self, source: &Arc<Source>, time: i64, severity: u16, rest: &Value) -> NewEntry {
        let lag = i64::try_from(self.profile.latency(Step::LogIngestion).as_nanos()).unwrap_or_default();
        NewEntry {
            source: source.clone(),
            time,
            received: time::to_nanos(time::now()).saturating_add(lag),
            insert_id: insert_id(&self.sequence),
            severity,
            rest: rest.to_string(),
        }
    }

    /// The entry that says what was dropped since the last one.
    fn dropped(&mut self) -> Option<NewEntry> {
        if self.dropped_lines == 0 {
            return None;
        }
        let text = format!(
            "{} lines ({} bytes) of this task's output were not logged: more than {} lines or {} bytes per second.",
            std::mem::take(&mut self.dropped_lines),
            std::mem::take(&mut self.dropped_bytes),
            limits::LOG_LINES_PER_SECOND,
            limits::LOG_BYTES_PER_SECOND,
        );
        let now = time::to_nanos(time::now());
        Some(self.new_entry(&self.system.clone(), now, 400, &json!({"textPayload": text})))
    }
}

/// A line that is a JSON object becomes a structured payload, as Cloud Run does it; its `severity` is the entry's.
fn payload(text: &str) -> (u16, Value) {
    if text.starts_with('{')
        && let Ok(Value::Object(mut fields)) = serde_json::from_str::<Value>(text)
    {
        let severity =
            fields.get("severity").and_then(Value::as_str).and_then(super::entries::severity_number);
        if severity.is_some() {
            fields.remove("severity");
        }
        return (severity.unwrap_or_default(), json!({"jsonPayload": fields}));
    }
    (0, json!({"textPayload": text}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> TaskLog {
        let origin = Origin {
            project: "p".into(),
            region: "r".into(),
            job: "j".into(),
            execution: "e".into(),
            task_index: 0,
            task_attempt: 0,
            container: None,
        };
        TaskLog::new(&origin, Profile::Fast, mpsc::channel(1).0, Arc::default())
    }

    fn texts(entries: &[NewEntry]) -> Vec<String> {
        let text = |entry: &NewEntry| {
            serde_json::from_str::<Value>(&entry.rest).unwrap()["textPayload"].as_str().map(str::to_owned)
        };
        entries.iter().filter_map(text).collect()
    }

    #[test]
    fn lines_are_put_together_across_chunks_and_streams_stay_apart() {
        let (mut log, now, time) = (log(), Instant::now(), SystemTime::now());
        assert_eq!(texts(&log.take(false, time, b"one\ntw", now)), ["one"]);
        assert_eq!(texts(&log.take(true, time, b"err\n", now)), ["err"]);
        assert_eq!(texts(&log.take(false, time, b"o\n\nthree", now)), ["two", ""]);
        assert_eq!(log.streams[0].partial, b"three");
    }

    #[test]
    fn a_line_without_end_becomes_entries_of_bounded_size() {
        let mut log = log();
        let entries =
            log.take(false, SystemTime::now(), &vec![b'a'; limits::LOG_LINE * 2 + 5], Instant::now());
        assert_eq!(entries.len(), 2);
        assert_eq!(log.streams[0].partial.len(), 5);
    }

    #[test]
    fn what_is_above_the_rate_is_counted_and_said() {
        let (mut log, now, time) = (log(), Instant::now(), SystemTime::now());
        let total = limits::LOG_LINES_BURST as usize + 5_000;
        let logged = log.take(false, time, "x\n".repeat(total).as_bytes(), now).len();
        assert_eq!(logged, limits::LOG_LINES_BURST as usize);
        let later = log.take(false, time, b"again\n", now + Duration::from_secs(1));
        let said = texts(&later);
        assert!(said[0].starts_with("5000 lines (10000 bytes)"), "{said:?}");
        assert_eq!(said[1], "again");
    }

    #[test]
    fn a_json_line_is_structured_and_brings_its_severity() {
        let (severity, rest) = payload(r#"{"severity":"ERROR","message":"m"}"#);
        assert_eq!((severity, rest), (500, json!({"jsonPayload": {"message": "m"}})));
        assert_eq!(payload("{no json").1, json!({"textPayload": "{no json"}));
    }
}

//! `docker logs`.

use std::time::SystemTime;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream::BoxStream};
use jiff::Timestamp;
use sockerless_ports::logs::{LogChunk, LogError, LogQuery};

use super::{spec::Spec, table::Reader};
use crate::{Engine, Error, ErrorKind, LogsRequest, OutputChunk, OutputStream, Result};

impl Engine {
    /// `GET /containers/{id}/logs`, a line in each chunk unless the container has a terminal, as dockerd. With `follow` it ends when
    /// the container's run ends.
    ///
    /// Errors: 400 when neither stdout nor stderr is chosen, 404, 501 for a log driver that keeps nothing.
    pub async fn logs(&self, reference: &str, request: LogsRequest) -> Result<OutputStream> {
        let entry = self.containers.find(reference)?;
        if !request.stdout && !request.stderr {
            let message = "Bad parameters: you must choose at least one stream";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if entry.spec.log_driver() == "none" {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "configured logging driver does not support reading",
            ));
        }
        let reader = entry.readers.enter();
        let query = LogQuery {
            stdout: request.stdout,
            stderr: request.stderr,
            since: request.since,
            until: request.until,
            tail: request.tail,
            from: None,
            hold: false,
            follow: request.follow && entry.view().state.is_live(),
            // A terminal's bytes go out as they came; else a chunk becomes a frame, and clients take frames for lines.
            lines: !entry.spec.tty() || request.timestamps || request.details,
        };
        let chunks = self.logs.read(entry.id(), query).await?;
        let details = request.details.then(|| details(&entry.spec));
        let timestamps = request.timestamps;
        let chunks = chunks.map(move |chunk| {
            let chunk = chunk?;
            let bytes = if timestamps || details.is_some() {
                decorate(&chunk, timestamps, details.as_deref())
            } else {
                chunk.bytes
            };
            Ok(OutputChunk { output: chunk.output, bytes })
        });
        let mut chunks = self.guard(chunks, reader);
        if let (true, Some(until)) = (request.follow, request.until) {
            let left = until.duration_since(SystemTime::now()).unwrap_or_default();
            chunks = chunks.take_until(tokio::time::sleep(left)).boxed();
        }
        Ok(OutputStream { tty: entry.spec.tty(), chunks })
    }

    /// Keeps the log from being removed while the stream lives, and ends it with the engine.
    pub(super) fn guard(
        &self,
        chunks: impl Stream<Item = Result<OutputChunk>> + Send + 'static,
        reader: Reader,
    ) -> BoxStream<'static, Result<OutputChunk>> {
        let chunks = chunks.map(move |chunk| {
            let _reading = &reader;
            chunk
        });
        chunks.take_until(self.closing().clone().cancelled_owned()).boxed()
    }
}

impl From<LogError> for Error {
    fn from(error: LogError) -> Self {
        Self::new(ErrorKind::Internal, error.to_string())
    }
}

/// dockerd's order: time stamp, details, line.
fn decorate(chunk: &LogChunk, timestamps: bool, details: Option<&str>) -> Bytes {
    let mut line = BytesMut::with_capacity(chunk.bytes.len() + 64);
    if timestamps {
        line.put_slice(nanoseconds(chunk.time).as_bytes());
        line.put_u8(b' ');
    }
    if let Some(details) = details {
        line.put_slice(details.as_bytes());
        line.put_u8(b' ');
    }
    line.put_slice(&chunk.bytes);
    line.freeze()
}

/// RFC 3339 with nine digits, trailing zeros included.
fn nanoseconds(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or_default();
    format!("{time:.9}")
}

/// `key=value` of the labels and variables that the log options `labels` and `env` name, by key.
fn details(spec: &Spec) -> String {
    let options = spec.host.log_config.as_ref().and_then(|config| config.config.as_ref());
    let named = |option: &str| {
        let names = options.and_then(|options| options.get(option)).map(String::as_str).unwrap_or_default();
        names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut pairs = std::collections::BTreeMap::new();
    for name in named("labels") {
        if let Some(value) = spec.label(&name) {
            pairs.insert(name, value.to_owned());
        }
    }
    for name in named("env") {
        let value =
            spec.config.env.iter().flatten().find_map(|entry| entry.strip_prefix(&name)?.strip_prefix('='));
        if let Some(value) = value {
            pairs.insert(name, value.to_owned());
        }
    }
    pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use sockerless_ports::link::Output;

    use super::*;

    #[test]
    fn time_stamps_have_nine_digits() {
        let time = UNIX_EPOCH + Duration::new(1_700_000_000, 120_000_000);
        assert_eq!(nanoseconds(time), "2023-11-14T22:13:20.120000000Z");
        let chunk = LogChunk { time, output: Output::Stdout, bytes: Bytes::from_static(b"hi\n") };
        assert_eq!(decorate(&chunk, true, Some("a=b")), "2023-11-14T22:13:20.120000000Z a=b hi\n");
        assert_eq!(decorate(&chunk, false, Some("")), " hi\n");
    }
}

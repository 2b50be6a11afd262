//! Docker's stream of progress: JSON objects, one a line.

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use sockerless_engine::{Error, ProgressStream};
use sockerless_ports::registry::ProgressEvent;

/// Which of Docker's two dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Pull and import: everything is a status.
    Status,
    /// Load: results are text for the terminal, layers are told unless the client is quiet.
    Load {
        /// Results alone.
        quiet: bool,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    #[serde(rename_all = "camelCase")]
    Status {
        status: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        progress_detail: Option<Detail>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
    },
    Stream {
        stream: String,
    },
    #[serde(rename_all = "camelCase")]
    Error {
        error_detail: ErrorDetail<'a>,
        error: &'a str,
    },
}

#[derive(Serialize)]
struct Detail {
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

#[derive(Serialize)]
struct ErrorDetail<'a> {
    message: &'a str,
}

/// The lines of a stream of progress; an error is the last.
pub fn lines(events: ProgressStream, dialect: Dialect) -> impl Stream<Item = Bytes> + Send + 'static {
    events.filter_map(move |event| {
        std::future::ready(match event {
            Ok(event) => line(&event, dialect).and_then(|line| bytes(&line)),
            Err(error) => error_line(&error),
        })
    })
}

fn line(event: &ProgressEvent, dialect: Dialect) -> Option<Line<'_>> {
    let result = event.id.is_none() && event.bytes.is_none();
    match dialect {
        Dialect::Load { .. } if result => {
            return Some(Line::Stream { stream: format!("{}\n", event.status) });
        }
        Dialect::Load { quiet: true } => return None,
        Dialect::Load { .. } | Dialect::Status => {}
    }
    // dockerd gives layers an empty detail and neither the headline ("Pulling from …", whose id is
    // the tag) nor the results any.
    let layer = event.id.is_some() && !event.status.starts_with("Pulling from ");
    let progress_detail = match event.bytes {
        Some((current, total)) => {
            Some(Detail { current: Some(current), total: (total > 0).then_some(total) })
        }
        None => layer.then_some(Detail { current: None, total: None }),
    };
    Some(Line::Status { status: &event.status, progress_detail, id: event.id.as_deref() })
}

fn error_line(error: &Error) -> Option<Bytes> {
    bytes(&Line::Error { error_detail: ErrorDetail { message: &error.message }, error: &error.message })
}

fn bytes(line: &Line<'_>) -> Option<Bytes> {
    match serde_json::to_vec(line) {
        Ok(mut bytes) => {
            bytes.extend_from_slice(b"\r\n");
            Some(bytes.into())
        }
        Err(error) => {
            tracing::error!(%error, "progress cannot be written as JSON");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, stream};
    use sockerless_engine::ErrorKind;

    use super::*;

    fn event(id: Option<&str>, status: &str, bytes: Option<(u64, u64)>) -> Result<ProgressEvent, Error> {
        Ok(ProgressEvent { id: id.map(Into::into), status: status.into(), bytes })
    }

    fn text(events: Vec<Result<ProgressEvent, Error>>, dialect: Dialect) -> String {
        let lines: Vec<Bytes> =
            lines(stream::iter(events).boxed(), dialect).collect().now_or_never().unwrap();
        String::from_utf8(lines.concat()).unwrap()
    }

    #[test]
    fn a_pull_reads_as_dockerds() {
        let events = vec![
            event(Some("latest"), "Pulling from library/busybox", None),
            event(Some("9ad63333ebc9"), "Pulling fs layer", None),
            event(Some("9ad63333ebc9"), "Downloading", Some((10, 20))),
            event(Some("9ad63333ebc9"), "Pull complete", None),
            event(None, "Digest: sha256:ab", None),
            event(None, "Status: Downloaded newer image for busybox:latest", None),
        ];
        let expected = [
            r#"{"status":"Pulling from library/busybox","id":"latest"}"#,
            r#"{"status":"Pulling fs layer","progressDetail":{},"id":"9ad63333ebc9"}"#,
            r#"{"status":"Downloading","progressDetail":{"current":10,"total":20},"id":"9ad63333ebc9"}"#,
            r#"{"status":"Pull complete","progressDetail":{},"id":"9ad63333ebc9"}"#,
            r#"{"status":"Digest: sha256:ab"}"#,
            r#"{"status":"Status: Downloaded newer image for busybox:latest"}"#,
        ];
        assert_eq!(text(events, Dialect::Status), expected.map(|line| format!("{line}\r\n")).concat());
    }

    #[test]
    fn a_load_tells_results_as_text_and_layers_unless_quiet() {
        let events = || {
            vec![event(Some("abc"), "Loading layer", Some((1, 2))), event(None, "Loaded image: a:b", None)]
        };
        let result = "{\"stream\":\"Loaded image: a:b\\n\"}\r\n";
        assert_eq!(text(events(), Dialect::Load { quiet: true }), result);
        let layer = "{\"status\":\"Loading layer\",\"progressDetail\":{\"current\":1,\"total\":2},\"id\":\"abc\"}\r\n";
        assert_eq!(text(events(), Dialect::Load { quiet: false }), format!("{layer}{result}"));
    }

    #[test]
    fn an_error_on_the_way_is_the_last_line() {
        let events = vec![event(None, "a", None), Err(Error::new(ErrorKind::Internal, "no \"luck\""))];
        assert_eq!(
            text(events, Dialect::Status),
            "{\"status\":\"a\"}\r\n{\"errorDetail\":{\"message\":\"no \\\"luck\\\"\"},\"error\":\"no \\\"luck\\\"\"}\r\n"
        );
    }
}

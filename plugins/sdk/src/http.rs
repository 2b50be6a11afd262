//! Requests and answers, as plain values: a function that builds a request or reads an
//! answer is tested without a network.

use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, ErrorCode, Result, limits, time, url};

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Reads the headers.
    Head,
    /// Creates, or acts.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// The header that names a credential to the host.
pub const CREDENTIAL_HEADER: &str = "x-sockerless-credential";

/// A request. Built in one expression and sent by [`Transport::send`](crate::Transport::send).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// Absolute, with its query.
    pub url: String,
    /// In order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// None sends no body at all.
    pub body: Option<Vec<u8>>,
    /// The credential that the host attaches.
    pub credential: Option<String>,
    /// Bytes of the answer that are read; a longer one is an error.
    pub max_response: usize,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: None,
            credential: None,
            max_response: limits::RESPONSE_BYTES,
        }
    }

    /// A GET.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::Get, url)
    }

    /// A POST.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new(Method::Post, url)
    }

    /// A PUT.
    pub fn put(url: impl Into<String>) -> Self {
        Self::new(Method::Put, url)
    }

    /// A PATCH.
    pub fn patch(url: impl Into<String>) -> Self {
        Self::new(Method::Patch, url)
    }

    /// A DELETE.
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new(Method::Delete, url)
    }

    /// Adds one pair to the query; both are encoded.
    #[must_use]
    pub fn query(mut self, key: &str, value: &str) -> Self {
        self.url.push(if self.url.contains('?') { '&' } else { '?' });
        self.url.push_str(&url::encode(key));
        self.url.push('=');
        self.url.push_str(&url::encode(value));
        self
    }

    /// Adds a pair to the query if there is a value.
    #[must_use]
    pub fn query_opt(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.query(key, value),
            None => self,
        }
    }

    /// Adds a header. `Authorization` is refused by the host: name a credential instead.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// Has the host attach a credential: `google`, or `google; scope=…`.
    #[must_use]
    pub fn credential(mut self, name: impl Into<String>) -> Self {
        self.credential = Some(name.into());
        self
    }

    /// A body of a given type.
    #[must_use]
    pub fn body(mut self, content_type: &str, content: Vec<u8>) -> Self {
        self.body = Some(content);
        self.header("content-type", content_type)
    }

    /// A JSON body.
    #[must_use]
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Self {
        // Serialisation fails only for maps with keys that are no strings, which no API has;
        // an empty body then gets the provider's refusal.
        let content = serde_json::to_vec(value).unwrap_or_default();
        self.body("application/json", content)
    }

    /// Reads at most so many bytes of the answer.
    #[must_use]
    pub fn max_response(mut self, bytes: usize) -> Self {
        self.max_response = bytes;
        self
    }
}

/// An answer of any status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// 200, 404, …
    pub status: u16,
    /// In order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// Whole.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of a name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What `Retry-After` asks for, in milliseconds.
    pub fn retry_after_ms(&self, now: u64) -> Option<u64> {
        time::parse_retry_after(self.header("retry-after")?, now)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `internal`, quoting the beginning of what is not JSON of that shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Error::internal(format!("cannot read the provider's answer ({error}): {}", self.quote()))
                .with_status(self.status)
        })
    }

    /// Fails unless the status is 2xx: the code follows from the status, the message is the body's
    /// beginning. A plugin whose provider has a format for errors reads that instead.
    ///
    /// # Errors
    /// As [`ErrorCode::from_status`] says.
    pub fn success(&self, doing: &str, now: u64) -> Result<()> {
        if self.is_success() {
            return Ok(());
        }
        Err(Error {
            code: ErrorCode::from_status(self.status),
            message: format!("{doing}: HTTP {}: {}", self.status, self.quote()),
            provider_status: Some(self.status),
            retry_after_ms: self.retry_after_ms(now),
        })
    }

    /// The beginning of the body, for a message.
    pub fn quote(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().chars().take(limits::QUOTED_CHARS).collect()
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum SendError {
    /// The host does not let the request out: see the manifest's grants and the operator's.
    Denied(String),
    /// The credential cannot be had; the host's own error.
    Credential(Error),
    /// No connection, or it broke.
    Unreachable(String),
    /// No answer in time; whether the request was carried out is not known.
    TimedOut(String),
    /// The answer is longer than the request allows, in bytes.
    TooLarge(usize),
    /// The request is not one that can be sent.
    Invalid(String),
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Denied(what) => Self::new(
                ErrorCode::PermissionDenied,
                format!("the host refused a request of the plugin, whose grant does not cover it: {what}"),
            ),
            SendError::Credential(error) => error,
            SendError::Unreachable(what) => Self::new(ErrorCode::Unavailable, what),
            SendError::TimedOut(what) => Self::new(ErrorCode::DeadlineExceeded, what),
            SendError::TooLarge(bytes) => {
                Self::internal(format!("the provider's answer is longer than {bytes} bytes"))
            }
            SendError::Invalid(what) => Self::invalid(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_request_is_built_in_one_expression() {
        let request = Request::post("https://x.test/a")
            .query("jobId", "a b")
            .query_opt("none", None)
            .query("c", "d")
            .header("If-Match", "7")
            .credential("google")
            .json(&json!({"k": 1}));
        assert_eq!(request.url, "https://x.test/a?jobId=a%20b&c=d");
        assert_eq!(request.headers[0], ("if-match".into(), "7".into()));
        assert_eq!(request.headers[1], ("content-type".into(), "application/json".into()));
        assert_eq!(request.body.as_deref(), Some(br#"{"k":1}"#.as_slice()));
        assert_eq!(request.credential.as_deref(), Some("google"));
    }

    #[test]
    fn a_failed_answer_keeps_the_words_and_the_wait() {
        let answer = Response {
            status: 429,
            headers: vec![("retry-after".into(), "2".into())],
            body: b"too many".to_vec(),
        };
        let error = answer.success("listing", 0).unwrap_err();
        assert_eq!(error.code, ErrorCode::QuotaExceeded);
        assert_eq!(error.retry_after_ms, Some(2000));
        assert_eq!(error.provider_status, Some(429));
        assert_eq!(error.message, "listing: HTTP 429: too many");
    }

    #[test]
    fn an_answer_that_is_not_json_is_quoted() {
        let answer = Response { status: 200, headers: vec![], body: b"<html>".to_vec() };
        let error = answer.json::<Value>().unwrap_err();
        assert_eq!(error.code, ErrorCode::Internal);
        assert!(error.message.ends_with("<html>"));
    }
}

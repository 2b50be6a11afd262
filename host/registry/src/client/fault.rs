//! What can go wrong at a registry, and how dockerd words it.

use std::{error::Error as _, io};

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use sockerless_ports::registry::ImageError;

use crate::reference::Reference;

/// Why a registry did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It answered with an error. `code` is the distribution specification's (`MANIFEST_UNKNOWN`).
    Answer {
        /// HTTP status.
        status: u16,
        /// The specification's code, if it gave one.
        code: String,
        /// Its words.
        message: String,
        /// `Get "http://…"`.
        request: String,
    },
    /// No answer, or a broken one. Worth another attempt.
    Line(String),
    /// An answer that makes no sense.
    Nonsense(String),
}

#[derive(Debug, Default, Deserialize)]
struct Body {
    #[serde(default)]
    errors: Vec<Entry>,
    // Token servers use this form.
    #[serde(default)]
    details: String,
}

#[derive(Debug, Default, Deserialize)]
struct Entry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Fault {
    /// An answer with an error's status and body.
    pub fn answer(method: &Method, url: &str, status: StatusCode, body: &[u8]) -> Self {
        let parsed: Body = serde_json::from_slice(body).unwrap_or_default();
        let (code, message) = match parsed.errors.into_iter().next() {
            Some(entry) => (entry.code, entry.message),
            None => (String::new(), parsed.details),
        };
        Self::Answer { status: status.as_u16(), code, message, request: request(method, url) }
    }

    /// The line failed; in Go's words, which people search for.
    pub fn line(method: &Method, url: &str, error: &reqwest::Error) -> Self {
        let host = reqwest::Url::parse(url).ok();
        let port = host.as_ref().and_then(|u| u.port_or_known_default()).unwrap_or_default();
        let host = host.as_ref().and_then(|u| u.host_str()).unwrap_or_default();
        let mut words = Vec::new();
        let mut cause = error.source();
        let mut kind = None;
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                kind = kind.or(Some(io.kind()));
            }
            words.push(error.to_string());
            cause = error.source();
        }
        let text = words.last().cloned().unwrap_or_else(|| error.to_string());
        let dns = words.iter().any(|word| word.contains("dns error"));
        let what = if dns {
            format!("dial tcp: lookup {host}: no such host")
        } else if kind == Some(io::ErrorKind::ConnectionRefused) {
            format!("dial tcp {host}:{port}: connect: connection refused")
        } else if error.is_timeout() && error.is_connect() {
            format!("dial tcp {host}:{port}: i/o timeout")
        } else if error.is_timeout() {
            "the registry fell silent (timeout awaiting an answer)".to_owned()
        } else {
            text
        };
        Self::Line(format!("{}: {what}", request(method, url)))
    }

    /// Whether it says that the thing is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Answer { status: 404, .. })
    }

    /// Whether another attempt may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Line(_) => true,
            Self::Answer { status, .. } => *status == 429 || *status >= 500,
            Self::Nonsense(_) => false,
        }
    }

    /// For an operation on a reference that is not a pull.
    pub fn plain(&self) -> ImageError {
        match self {
            Self::Answer { status: 401 | 403, .. } => ImageError::Denied(self.words()),
            _ => ImageError::Unavailable(self.words()),
        }
    }

    /// For a pull of the reference, as dockerd translates it.
    pub fn of_pull(&self, reference: &Reference) -> ImageError {
        let Self::Answer { status, code, .. } = self else { return ImageError::Unavailable(self.words()) };
        let words = self.words();
        match code.as_str() {
            "DENIED" => ImageError::Denied(format!(
                "pull access denied for {}, repository does not exist or may require 'docker login': {words}",
                reference.familiar_name()
            )),
            "MANIFEST_UNKNOWN" => {
                ImageError::NotFound(format!("manifest for {reference} not found: {words}"))
            }
            "NAME_UNKNOWN" => {
                ImageError::NotFound(format!("repository {} not found: {words}", reference.familiar_name()))
            }
            _ => match status {
                404 => ImageError::NotFound(format!("manifest for {reference} not found: {words}")),
                401 | 403 => ImageError::Denied(words),
                _ => ImageError::Unavailable(words),
            },
        }
    }

    /// Why a request was refused, without naming the request.
    pub fn reason(&self) -> String {
        match self {
            Self::Answer { code, message, .. } if code.is_empty() && !message.is_empty() => message.clone(),
            Self::Answer { status, code, .. } if code.is_empty() => unexpected(*status),
            _ => self.words(),
        }
    }

    /// In one line.
    pub fn words(&self) -> String {
        match self {
            Self::Line(text) | Self::Nonsense(text) => text.clone(),
            Self::Answer { status, code, message, request } => match (code.is_empty(), message.is_empty()) {
                (false, false) => format!("{}: {message}", code.to_lowercase().replace('_', " ")),
                (false, true) => code.to_lowercase().replace('_', " "),
                (true, false) => format!("{request}: {message}"),
                (true, true) => format!("{request}: {}", unexpected(*status)),
            },
        }
    }
}

fn unexpected(status: u16) -> String {
    format!("received unexpected HTTP status: {}", status_line(status))
}

/// `401 Unauthorized`
pub fn status_line(status: u16) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or_default();
    format!("{status} {reason}")
}

/// `Get "http://…"`, as Go names a request.
pub fn request(method: &Method, url: &str) -> String {
    let method = method.as_str().to_lowercase();
    let (first, rest) = method.split_at(1.min(method.len()));
    format!("{}{rest} \"{url}\"", first.to_uppercase())
}

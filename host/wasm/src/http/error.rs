//! Failures of an exchange, in the words of WASI and in words for a person.

use std::{error::Error as StdError, io};

use wasmtime_wasi_http::Error;

use super::client::AddressRefused;
use crate::state::Fault;

/// A request that failed: what the guest sees and what the host remembers.
pub(crate) struct Failure {
    pub(crate) wasi: Error,
    pub(crate) fault: Fault,
}

impl Failure {
    /// Against the grant or the rules.
    pub(crate) fn denied(what: impl Into<String>) -> Self {
        Self { wasi: Error::HttpRequestDenied, fault: Fault::Denied(what.into()) }
    }

    /// The way to the provider is broken.
    pub(crate) fn transport(wasi: Error, what: String) -> Self {
        Self { wasi, fault: Fault::Transport(what) }
    }
}

/// Reads a client's error. `what` names the request, without its query.
pub(crate) fn classify(what: &str, error: &reqwest::Error) -> Failure {
    if let Some(refused) = find::<AddressRefused>(error) {
        return Failure {
            wasi: Error::DestinationIpProhibited,
            fault: Fault::Denied(format!("{what}: {refused}")),
        };
    }
    let wasi = if error.is_timeout() && error.is_connect() {
        Error::ConnectionTimeout
    } else if error.is_timeout() {
        Error::HttpResponseTimeout
    } else if let Some(tls) = find::<rustls::Error>(error) {
        match tls {
            rustls::Error::InvalidCertificate(_) => Error::TlsCertificateError,
            _ => Error::TlsProtocolError,
        }
    } else if let Some(error) = find::<io::Error>(error) {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                Error::DestinationIpUnroutable
            }
            _ => Error::ConnectionTerminated,
        }
    } else if error.is_connect() {
        Error::DestinationUnavailable
    } else {
        Error::HttpProtocolError
    };
    Failure::transport(wasi, format!("{what}: {}", root(error)))
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        // An I/O error hides what it was made of from `source`.
        let inner = error.downcast_ref::<io::Error>().and_then(|error| error.get_ref());
        if let Some(found) = inner.and_then(|inner| inner.downcast_ref::<T>()) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The last cause: "connection refused" rather than "error sending request".
fn root(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

//! Faults in Google's words.

use axum::response::{IntoResponse, Response};
use sockerless_simulator_common::faults::Fault;

use crate::dns::DnsError;
use crate::error::{ApiError, Code};

/// Whether there is such a fault: operations that fail are not simulated.
pub fn known(fault: &Fault) -> bool {
    code(&fault.code).is_some() && fault.status.is_none() && fault.retry_after.is_none() && !fault.operation
}

/// A fault in the form of the service that a path is of.
pub fn answer(fault: Fault, path: &str) -> Response {
    // It is a known one.
    let error = ApiError::new(code(&fault.code).unwrap_or(Code::Internal), fault.message);
    if path.starts_with("/dns/") { DnsError::from(error).into_response() } else { error.into_response() }
}

fn code(name: &str) -> Option<Code> {
    let all = [
        Code::InvalidArgument,
        Code::FailedPrecondition,
        Code::Unauthenticated,
        Code::PermissionDenied,
        Code::NotFound,
        Code::AlreadyExists,
        Code::Aborted,
        Code::ResourceExhausted,
        Code::Internal,
        Code::Unimplemented,
        Code::Unavailable,
        Code::DeadlineExceeded,
    ];
    all.into_iter().find(|code| code.forms().2 == name)
}

//! Faults in Azure's words.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use sockerless_simulator_common::faults::Fault;

use crate::error::ArmError;
use crate::storage::FileError;

/// Whether there is such a fault. A status is needed, since words of Azure's do not say it.
pub fn known(fault: &Fault) -> bool {
    status(fault).is_some() && !fault.code.is_empty() && !(fault.lost && fault.operation)
}

/// The error of a fault.
pub fn error(fault: Fault) -> ArmError {
    let status = status(&fault).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let retry_after = fault.retry_after.map(Duration::from_secs);
    ArmError { retry_after, ..ArmError::new(status, fault.code, fault.message) }
}

/// A fault in the form of the service: Storage's own, or Resource Manager's.
pub fn answer(fault: Fault, files: bool) -> Response {
    let error = error(fault);
    if files {
        FileError::new(error.status, &error.code, error.message).into_response()
    } else {
        error.into_response()
    }
}

fn status(fault: &Fault) -> Option<StatusCode> {
    let status = StatusCode::from_u16(fault.status?).ok()?;
    (status.is_client_error() || status.is_server_error()).then_some(status)
}

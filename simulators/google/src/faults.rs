//! Faults on demand: what a test wants to go wrong.
//!
//! `POST /simulator/v1/faults` adds one, `DELETE` takes all away. It needs no token, as `GET /simulator/v1/info`, which tells it:
//! whoever reaches this simulator may do with it what they like.

use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Method, Request, StatusCode};
use serde::Deserialize;

use crate::dns::DnsError;
use crate::error::{ApiError, Code};
use crate::limits;

/// Where faults are asked for.
pub const PATH: &str = "/simulator/v1/faults";

/// Calls that are to fail.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    /// `POST`, `DELETE` and so on.
    method: String,
    /// What the path begins with.
    path: String,
    /// `PERMISSION_DENIED`, `INTERNAL` and so on.
    code: String,
    /// The provider's words.
    message: String,
    /// How many calls fail.
    times: u32,
    /// The call is carried out, and its answer is lost on the way.
    #[serde(default)]
    lost: bool,
}

/// Those that were asked for, the oldest first.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Fault>>);

/// What becomes of a call.
pub struct Fate {
    pub error: ApiError,
    /// It is carried out all the same.
    pub lost: bool,
}

impl Faults {
    /// Takes what is wanted, or all away.
    pub async fn change(&self, request: Request<Body>) -> Response {
        match *request.method() {
            Method::DELETE => self.0.lock().unwrap_or_else(PoisonError::into_inner).clear(),
            Method::POST => {
                let bytes = axum::body::to_bytes(request.into_body(), limits::JSON_BODY).await;
                let fault = bytes.ok().and_then(|bytes| serde_json::from_slice::<Fault>(&bytes).ok());
                let Some(fault) = fault.filter(|fault| code(&fault.code).is_some()) else {
                    return ApiError::new(Code::InvalidArgument, "That is no fault.").into_response();
                };
                self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
            }
            _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
        }
        StatusCode::NO_CONTENT.into_response()
    }

    /// Whether a call is to fail, which counts. Those to [`PATH`] never do: who asked for a fault can take it away.
    pub fn fate(&self, method: &Method, path: &str) -> Option<Fate> {
        if path == PATH {
            return None;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fault =
            all.iter_mut().find(|fault| fault.method == method.as_str() && path.starts_with(&fault.path))?;
        fault.times = fault.times.saturating_sub(1);
        let fate = Fate { error: ApiError::new(code(&fault.code)?, fault.message.clone()), lost: fault.lost };
        all.retain(|fault| fault.times > 0);
        Some(fate)
    }
}

/// An error in the form of the service that a path is of.
pub fn answer(error: ApiError, path: &str) -> Response {
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(faults: &Faults, method: Method, body: &str) -> StatusCode {
        let request = Request::builder().method(method).body(Body::from(body.to_owned())).unwrap();
        faults.change(request).await.status()
    }

    #[tokio::test]
    async fn a_fault_hits_as_many_calls_as_were_asked_for_and_no_others() {
        let faults = Faults::default();
        let wanted =
            r#"{"method": "POST", "path": "/dns/v1/", "code": "INTERNAL", "message": "oh", "times": 2}"#;
        assert_eq!(ask(&faults, Method::POST, wanted).await, StatusCode::NO_CONTENT);
        let fate = |method: Method, path: &str| faults.fate(&method, path).map(|fate| fate.error.code);
        assert_eq!(fate(Method::GET, "/dns/v1/x"), None);
        assert_eq!(fate(Method::POST, "/v2/x"), None);
        let hits = [(); 3].map(|()| fate(Method::POST, "/dns/v1/projects/p/managedZones"));
        assert_eq!(hits, [Some(Code::Internal), Some(Code::Internal), None]);
        ask(&faults, Method::POST, wanted).await;
        ask(&faults, Method::DELETE, "").await;
        assert_eq!(fate(Method::POST, "/dns/v1/x"), None);
        assert_eq!(ask(&faults, Method::POST, "{}").await, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn a_fault_of_all_calls_can_be_taken_away() {
        let faults = Faults::default();
        for code in ["UNAVAILABLE", "DEADLINE_EXCEEDED"] {
            let wanted = format!(
                r#"{{"method": "DELETE", "path": "/", "code": "{code}", "message": "oh", "times": 9}}"#
            );
            assert_eq!(ask(&faults, Method::POST, &wanted).await, StatusCode::NO_CONTENT);
            let name = faults.fate(&Method::DELETE, "/v2/x").map(|fate| fate.error.code.forms().2);
            assert_eq!(name, Some(code));
            assert!(faults.fate(&Method::DELETE, PATH).is_none());
            ask(&faults, Method::DELETE, "").await;
        }
    }
}

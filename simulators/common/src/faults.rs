//! Faults on demand: what a test wants to go wrong.
//!
//! `POST /simulator/v1/faults` adds one, `DELETE` takes all away. It needs no token, as `GET /simulator/v1/info`, which tells it:
//! whoever reaches a simulator may do with it what they like.

use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Method, Request, StatusCode};
use serde::Deserialize;

use crate::limits;

/// Where faults are asked for.
pub const PATH: &str = "/simulator/v1/faults";

/// Calls that are to fail.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// `POST`, `DELETE` and so on.
    pub method: String,
    /// What the path begins with.
    pub path: String,
    /// The provider's word: `PERMISSION_DENIED`, `InternalServerError` and so on.
    pub code: String,
    /// The provider's sentence.
    pub message: String,
    /// How many calls fail.
    pub times: u32,
    /// The call is carried out, and its answer is lost on the way.
    #[serde(default)]
    pub lost: bool,
    /// The status, where the word does not say it.
    #[serde(default)]
    pub status: Option<u16>,
    /// Seconds after which the provider wants to be asked again.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// The call is accepted, and what it began fails later.
    #[serde(default)]
    pub operation: bool,
}

/// Those that were asked for, the oldest first.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Takes what is wanted, if the provider knows such faults, or all away.
    pub async fn change(&self, request: Request<Body>, known: impl Fn(&Fault) -> bool) -> Response {
        match *request.method() {
            Method::DELETE => self.0.lock().unwrap_or_else(PoisonError::into_inner).clear(),
            Method::POST => {
                let bytes = axum::body::to_bytes(request.into_body(), limits::FAULT).await;
                let fault = bytes.ok().and_then(|bytes| serde_json::from_slice::<Fault>(&bytes).ok());
                let Some(fault) = fault.filter(known) else {
                    return (StatusCode::BAD_REQUEST, "That is no fault.\n").into_response();
                };
                self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
            }
            _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
        }
        StatusCode::NO_CONTENT.into_response()
    }

    /// Whether a call is to fail, which counts. Those to [`PATH`] never do: who asked for a fault can take it away.
    pub fn hit(&self, method: &Method, path: &str) -> Option<Fault> {
        if path == PATH {
            return None;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fault =
            all.iter_mut().find(|fault| fault.method == method.as_str() && path.starts_with(&fault.path))?;
        fault.times = fault.times.saturating_sub(1);
        let hit = fault.clone();
        all.retain(|fault| fault.times > 0);
        Some(hit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(faults: &Faults, method: Method, body: &str) -> StatusCode {
        let request = Request::builder().method(method).body(Body::from(body.to_owned())).unwrap();
        faults.change(request, |fault| fault.code == "INTERNAL").await.status()
    }

    #[tokio::test]
    async fn a_fault_hits_as_many_calls_as_were_asked_for_and_no_others() {
        let faults = Faults::default();
        let wanted =
            r#"{"method": "POST", "path": "/dns/v1/", "code": "INTERNAL", "message": "oh", "times": 2}"#;
        assert_eq!(ask(&faults, Method::POST, wanted).await, StatusCode::NO_CONTENT);
        let hit = |method: Method, path: &str| faults.hit(&method, path).map(|fault| fault.code);
        assert_eq!(hit(Method::GET, "/dns/v1/x"), None);
        assert_eq!(hit(Method::POST, "/v2/x"), None);
        let hits = [(); 3].map(|()| hit(Method::POST, "/dns/v1/projects/p/managedZones").is_some());
        assert_eq!(hits, [true, true, false]);
        ask(&faults, Method::POST, wanted).await;
        ask(&faults, Method::DELETE, "").await;
        assert_eq!(hit(Method::POST, "/dns/v1/x"), None);
        for broken in ["{}", &wanted.replace("INTERNAL", "OTHER"), &wanted.replace("times", "thymes")] {
            assert_eq!(ask(&faults, Method::POST, broken).await, StatusCode::BAD_REQUEST, "{broken}");
        }
    }

    #[tokio::test]
    async fn a_fault_of_all_calls_can_be_taken_away() {
        let faults = Faults::default();
        let wanted = r#"{"method": "DELETE", "path": "/", "code": "INTERNAL", "message": "oh", "times": 9}"#;
        assert_eq!(ask(&faults, Method::POST, wanted).await, StatusCode::NO_CONTENT);
        assert!(faults.hit(&Method::DELETE, "/v2/x").is_some());
        assert!(faults.hit(&Method::DELETE, PATH).is_none());
        ask(&faults, Method::DELETE, "").await;
        assert!(faults.hit(&Method::DELETE, "/v2/x").is_none());
    }
}

//! What all Google APIs share: how they report errors and long-running operations.

use serde::Deserialize;
use serde_json::Value;
use sockerless_plugin_sdk::{Error, ErrorCode, Response, time};

/// The host's name for Google credentials.
pub const CREDENTIAL: &str = "google";

/// `google.rpc.Status`, as an error's answer and inside an operation.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Status {
    /// A `google.rpc.Code` in an operation, the HTTP status in an answer.
    pub code: i64,
    /// For a developer, in English.
    pub message: String,
    /// The code's name; only in an answer.
    pub status: String,
    /// Messages with a type of their own.
    pub details: Vec<Value>,
    /// The older form of details that Cloud Storage uses.
    pub errors: Vec<Reason>,
}

/// One of the older details.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Reason {
    /// `notFound`, `rateLimitExceeded`.
    pub reason: String,
}

/// `google.longrunning.Operation`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Operation {
    /// `projects/P/locations/R/operations/ID`.
    pub name: String,
    /// Either `error` or a response is there.
    pub done: bool,
    /// Why it failed.
    pub error: Option<Status>,
    /// The resource that it is about.
    pub metadata: Value,
}

#[derive(Deserialize)]
struct Envelope {
    error: Value,
    error_description: Option<String>,
}

impl Status {
    /// The reason that an `ErrorInfo` among the details names, or the code's name.
    pub fn reason(&self) -> String {
        let info = self.details.iter().filter_map(|detail| detail["reason"].as_str()).next();
        let older = self.errors.first().map(|error| error.reason.as_str());
        info.or(older).filter(|reason| !reason.is_empty()).unwrap_or_else(|| self.name()).to_owned()
    }

    /// The name of its code.
    pub fn name(&self) -> &str {
        const NAMES: [&str; 17] = [
            "OK",
            "CANCELLED",
            "UNKNOWN",
            "INVALID_ARGUMENT",
            "DEADLINE_EXCEEDED",
            "NOT_FOUND",
            "ALREADY_EXISTS",
            "PERMISSION_DENIED",
            "RESOURCE_EXHAUSTED",
            "FAILED_PRECONDITION",
            "ABORTED",
            "OUT_OF_RANGE",
            "UNIMPLEMENTED",
            "INTERNAL",
            "UNAVAILABLE",
            "DATA_LOSS",
            "UNAUTHENTICATED",
        ];
        if !self.status.is_empty() {
            return &self.status;
        }
        usize::try_from(self.code).ok().and_then(|code| NAMES.get(code)).copied().unwrap_or_default()
    }

    /// The message with what the details say about single fields.
    pub fn sentence(&self) -> String {
        let mut text = self.message.trim().to_owned();
        for violation in
            self.details.iter().filter_map(|detail| detail["fieldViolations"].as_array()).flatten()
        {
            let what = violation["description"].as_str().unwrap_or_default();
            if !what.is_empty() && !text.contains(what) {
                text = format!("{text} ({}: {what})", violation["field"].as_str().unwrap_or_default());
            }
        }
        text
    }

    fn retry_delay_ms(&self) -> Option<u64> {
        self.details.iter().filter_map(|detail| time::parse_seconds(detail["retryDelay"].as_str()?)).next()
    }

    fn is_quota(&self) -> bool {
        const QUOTA: [&str; 4] =
            ["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "RATE_LIMIT_EXCEEDED"];
        QUOTA.contains(&self.reason().as_str())
    }
}

/// The error of an answer that is no success. Keeps Google's own words.
pub fn error(doing: &str, response: &Response, now: u64) -> Error {
    let status = read(response);
    let code =
        if status.is_quota() { ErrorCode::QuotaExceeded } else { code(status.name(), response.status) };
    let sentence = status.sentence();
    let words = if sentence.is_empty() { response.quote() } else { sentence };
    let name = match status.name() {
        "" => String::new(),
        name => format!(" {name}"),
    };
    Error {
        code,
        message: format!("{doing}: {words} (HTTP {}{name})", response.status),
        provider_status: Some(response.status),
        retry_after_ms: response.retry_after_ms(now).or_else(|| status.retry_delay_ms()),
    }
}

/// The reason that an answer gives, in one word; empty when it gives none.
pub fn reason(response: &Response) -> String {
    read(response).reason()
}

/// Whether the answer refuses the call because of the state that the resource is in.
pub fn is_precondition(response: &Response) -> bool {
    matches!(response.status, 400 | 409 | 412)
        && matches!(read(response).name(), "FAILED_PRECONDITION" | "ABORTED")
}

/// The status in an answer; empty when it is not in Google's form.
fn read(response: &Response) -> Status {
    let Ok(envelope) = serde_json::from_slice::<Envelope>(&response.body) else {
        return nameless(String::new());
    };
    match envelope.error {
        // The form of the token endpoints (RFC 6749).
        Value::String(error) => {
            let message =
                envelope.error_description.map_or_else(|| error.clone(), |more| format!("{error}: {more}"));
            nameless(message)
        }
        // Its code is the HTTP status, which must not be taken for a google.rpc.Code.
        error => Status { code: NO_CODE, ..serde_json::from_value(error).unwrap_or_default() },
    }
}

/// No `google.rpc.Code` at all; 0 would be `OK`.
const NO_CODE: i64 = -1;

fn nameless(message: String) -> Status {
    Status { code: NO_CODE, message, ..Status::default() }
}

/// What the host does about it: by the code's name, or by the HTTP status when there is none.
fn code(name: &str, http: u16) -> ErrorCode {
    match name {
        "INVALID_ARGUMENT" | "OUT_OF_RANGE" => ErrorCode::InvalidArgument,
        "NOT_FOUND" => ErrorCode::NotFound,
        "ALREADY_EXISTS" => ErrorCode::AlreadyExists,
        "FAILED_PRECONDITION" | "ABORTED" | "CANCELLED" => ErrorCode::Conflict,
        "PERMISSION_DENIED" => ErrorCode::PermissionDenied,
        "UNAUTHENTICATED" => ErrorCode::Unauthenticated,
        "RESOURCE_EXHAUSTED" => ErrorCode::QuotaExceeded,
        // INTERNAL is a fault of the provider's, which a later call may not meet.
        "UNAVAILABLE" | "INTERNAL" | "UNKNOWN" | "DATA_LOSS" => ErrorCode::Unavailable,
        "DEADLINE_EXCEEDED" => ErrorCode::DeadlineExceeded,
        "UNIMPLEMENTED" => ErrorCode::Unsupported,
        _ => ErrorCode::from_status(http),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sockerless_plugin_sdk::testing::response;

    use super::*;

    #[test]
    fn googles_words_status_and_wait_are_kept() {
        let body = json!({"error": {"code": 429, "message": "Quota exceeded for run.jobs", "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}]}});
        let error = error("creating the job a", &response(429, body), 0);
        assert_eq!(error.code, ErrorCode::QuotaExceeded);
        assert_eq!(error.retry_after_ms, Some(1500));
        assert_eq!(error.provider_status, Some(429));
        assert_eq!(
            error.message,
            "creating the job a: Quota exceeded for run.jobs (HTTP 429 RESOURCE_EXHAUSTED)"
        );
    }

    #[test]
    fn the_name_of_the_code_outweighs_the_http_status() {
        let failed = json!({"error": {"code": 400, "message": "no", "status": "FAILED_PRECONDITION"}});
        assert_eq!(error("x", &response(400, failed), 0).code, ErrorCode::Conflict);
        let exists = json!({"error": {"code": 409, "message": "no", "status": "ALREADY_EXISTS"}});
        assert_eq!(error("x", &response(409, exists), 0).code, ErrorCode::AlreadyExists);
        let internal = json!({"error": {"code": 500, "message": "no", "status": "INTERNAL"}});
        assert_eq!(error("x", &response(500, internal), 0).code, ErrorCode::Unavailable);
    }

    #[test]
    fn cloud_storage_says_quota_with_403() {
        let body = json!({"error": {"code": 403, "message": "slow down", "errors": [{"reason": "rateLimitExceeded"}]}});
        assert_eq!(error("x", &response(403, body), 0).code, ErrorCode::QuotaExceeded);
        let body = json!({"error": {"code": 403, "message": "no", "errors": [{"reason": "forbidden"}]}});
        assert_eq!(error("x", &response(403, body), 0).code, ErrorCode::PermissionDenied);
    }

    #[test]
    fn answers_in_other_forms_are_quoted() {
        let plain = error("x", &response(502, "bad gateway"), 0);
        assert_eq!(
            (plain.code, plain.message.as_str()),
            (ErrorCode::Unavailable, "x: bad gateway (HTTP 502)")
        );
        let token =
            error("x", &response(401, json!({"error": "invalid_grant", "error_description": "expired"})), 0);
        assert_eq!(token.code, ErrorCode::Unauthenticated);
        assert_eq!(token.message, "x: invalid_grant: expired (HTTP 401)");
    }

    #[test]
    fn violations_of_single_fields_are_told() {
        let status = Status {
            message: "Invalid job".into(),
            details: vec![json!({"fieldViolations": [{"field": "template", "description": "must be set"}]})],
            ..Status::default()
        };
        assert_eq!(status.sentence(), "Invalid job (template: must be set)");
    }

    #[test]
    fn an_operations_error_has_a_number_for_a_code() {
        let operation: Operation = serde_json::from_value(
            json!({"name": "o", "done": true, "error": {"code": 5, "message": "Image not found"}}),
        )
        .unwrap();
        assert_eq!(operation.error.unwrap().reason(), "NOT_FOUND");
    }
}

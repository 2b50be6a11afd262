//! Operations that last: what the addresses in `Azure-AsyncOperation` and `Location` answer.

use serde::Deserialize;
use sockerless_plugin_sdk::Response;

use crate::arm::{Fault, fault};

/// What `Azure-AsyncOperation` leads to. `Location` leads to what the operation results in, or to its error.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Operation {
    /// `InProgress`, `Succeeded`, `Failed`, `Canceled`.
    status: String,
    /// Why it failed.
    error: Option<Fault>,
}

/// Where an operation is.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on.
    Pending,
    /// It has come to its purpose.
    Done,
    /// It has come to an end, but not to its purpose.
    Failed(Fault),
    /// The answer does not say: the operation is forgotten (no fault), or it cannot be asked for.
    Unknown(Option<Fault>),
}

impl Outcome {
    /// Reads the answer of an operation's address. 429 says nothing of it: that is the caller's.
    ///
    /// A failed operation answers at its `Location` with its own error (ARM's asynchronous operations). What may as well be
    /// said of the question (no right to ask, an address that is out of date, a server's fault) is not taken for the
    /// operation's end.
    pub fn of(answer: &Response) -> Self {
        match answer.status {
            202 => Self::Pending,
            _ if answer.is_success() => Self::of_document(answer),
            404 => Self::Unknown(None),
            400..500 if !matches!(answer.status, 400 | 401 | 403 | 405 | 408 | 410 | 429) => {
                Self::Failed(fault(answer))
            }
            _ => Self::Unknown(Some(fault(answer))),
        }
    }

    fn of_document(answer: &Response) -> Self {
        if answer.body.is_empty() {
            return Self::Done;
        }
        let Ok(operation) = serde_json::from_slice::<Operation>(&answer.body) else {
            return Self::Unknown(Some(Fault { message: answer.quote(), ..Fault::default() }));
        };
        match operation.status.as_str() {
            // A result has no status.
            "" | "Succeeded" => Self::Done,
            "Failed" | "Canceled" => Self::Failed(
                operation.error.unwrap_or_else(|| Fault { code: operation.status, ..Fault::default() }),
            ),
            _ => Self::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sockerless_plugin_sdk::testing::response;

    use super::*;
    use crate::testing::refused;

    #[test]
    fn an_operation_goes_on_until_its_status_or_its_result_says_otherwise() {
        let of = |status, body: serde_json::Value| Outcome::of(&response(status, body));
        assert_eq!(of(200, json!({"status": "InProgress"})), Outcome::Pending);
        assert_eq!(of(202, json!({})), Outcome::Pending);
        assert_eq!(of(200, json!({"status": "Succeeded"})), Outcome::Done);
        assert_eq!(of(200, json!({"name": "j-1", "id": "/x/executions/j-1"})), Outcome::Done);
        assert_eq!(Outcome::of(&response(204, "")), Outcome::Done);
        let why = Fault { code: "NoRoom".into(), message: "none left".into(), ..Fault::default() };
        let failed = json!({"status": "Failed", "error": {"code": "NoRoom", "message": "none left"}});
        assert_eq!(of(200, failed), Outcome::Failed(why));
        let cancelled = Fault { code: "Canceled".into(), ..Fault::default() };
        assert_eq!(of(200, json!({"status": "Canceled"})), Outcome::Failed(cancelled));
    }

    #[test]
    fn a_result_that_is_an_error_is_the_operations_unless_it_may_be_the_questions() {
        for status in [409, 412, 422] {
            let outcome = Outcome::of(&refused(status, "NoRoom"));
            assert!(
                matches!(&outcome, Outcome::Failed(why) if why.code == "NoRoom"),
                "{status}: {outcome:?}"
            );
        }
        for status in [302, 400, 401, 403, 405, 408, 410, 500, 503] {
            let outcome = Outcome::of(&refused(status, "Whatever"));
            assert!(matches!(outcome, Outcome::Unknown(Some(_))), "{status}");
        }
        assert_eq!(Outcome::of(&refused(404, "OperationNotFound")), Outcome::Unknown(None));
        assert!(matches!(Outcome::of(&response(200, "<html>")), Outcome::Unknown(Some(_))));
    }
}

//! What a handle remembers.

use serde::{Deserialize, Serialize};
use sockerless_plugin_sdk::{Error, Result, jobs::Handle};

use crate::names;

/// The content of `handle.state`, as JSON with short keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The long-running operation that made or started it.
    #[serde(rename = "o", skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// That operation is of `jobs.run`: it lasts as long as the execution.
    #[serde(rename = "r", skip_serializing_if = "std::ops::Not::not")]
    pub of_run: bool,
    /// The short name of the execution, as Cloud Run has told it.
    #[serde(rename = "x", skip_serializing_if = "Option::is_none")]
    pub execution: Option<String>,
}

impl State {
    /// Reads it. A handle without state is one that somebody knows by its name alone.
    ///
    /// # Errors
    /// `internal` when it is not what [`State::handle`] wrote.
    pub fn of(handle: &Handle) -> Result<Self> {
        if handle.state.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(&handle.state).map_err(|error| {
            Error::internal(format!("job {}: its state cannot be read ({error})", handle.name))
        })
    }

    /// Writes it.
    pub fn handle(&self, name: &str, started: bool) -> Handle {
        // Strings and booleans are always JSON.
        let state = serde_json::to_string(self).unwrap_or_default();
        Handle { name: name.to_owned(), state, started }
    }

    /// The short name of the execution, told or inferred.
    pub fn execution_name(&self, job: &str) -> String {
        self.execution.clone().unwrap_or_else(|| names::execution_of(job))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_the_host() {
        let state = State { operation: Some("o/1".into()), of_run: true, execution: None };
        let handle = state.handle("a", true);
        assert_eq!(handle.state, r#"{"o":"o/1","r":true}"#);
        assert_eq!(State::of(&handle).unwrap(), state);
    }

    #[test]
    fn an_empty_one_is_fine_and_a_foreign_one_is_not() {
        assert_eq!(
            State::of(&Handle { name: "a".into(), state: String::new(), started: true }).unwrap(),
            State::default()
        );
        assert!(State::of(&Handle { name: "a".into(), state: "arn:x".into(), started: true }).is_err());
        assert_eq!(State::default().execution_name("a"), "a-run");
    }
}

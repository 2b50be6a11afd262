//! What a handle remembers.

use serde::{Deserialize, Serialize};
use sockerless_plugin_sdk::{Error, Result, Timestamp, jobs::Handle};

/// The content of `handle.state`, as JSON with short keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// When it was created, or started: for a while ARM may not show what it has just been given.
    #[serde(rename = "c", skip_serializing_if = "is_zero")]
    pub since: Timestamp,
    /// The address of the operation that made or started it.
    #[serde(rename = "o", skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The name of the execution, or of the app's replica, once it is known.
    #[serde(rename = "x", skip_serializing_if = "Option::is_none")]
    pub execution: Option<String>,
    /// Since when its execution cannot be found; 0 when it was, or was not looked for.
    #[serde(rename = "u", skip_serializing_if = "is_zero")]
    pub missing: Timestamp,
    /// The main container, whose exit code counts.
    #[serde(rename = "m", skip_serializing_if = "String::is_empty")]
    pub main: String,
    /// It is an app, not a job.
    #[serde(rename = "a", skip_serializing_if = "std::ops::Not::not")]
    pub app: bool,
}

// serde hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(time: &Timestamp) -> bool {
    *time == 0
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
        // Strings, numbers and booleans are always JSON.
        let state = serde_json::to_string(self).unwrap_or_default();
        Handle { name: name.to_owned(), state, started }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_the_host() {
        let state =
            State { since: 7, execution: Some("j-1".into()), main: "main".into(), ..State::default() };
        let handle = state.handle("a", true);
        assert_eq!(handle.state, r#"{"c":7,"x":"j-1","m":"main"}"#);
        assert_eq!(State::of(&handle).unwrap(), state);
    }

    #[test]
    fn an_empty_one_is_fine_and_a_foreign_one_is_not() {
        let handle = |state: &str| Handle { name: "a".into(), state: state.into(), started: true };
        assert_eq!(State::of(&handle("")).unwrap(), State::default());
        assert!(State::of(&handle("arn:x")).is_err());
    }
}

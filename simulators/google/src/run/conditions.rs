//! Conditions of jobs, executions and tasks.

use serde_json::{Value, json};

use crate::time;

/// The state of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// On the way.
    Reconciling,
    /// It will not come.
    Failed,
    /// It is so.
    Succeeded,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Reconciling => "CONDITION_RECONCILING",
            Self::Failed => "CONDITION_FAILED",
            Self::Succeeded => "CONDITION_SUCCEEDED",
        }
    }
}

/// Why a condition failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `reason`: a common reason.
    Common(&'static str),
    /// `executionReason`.
    Execution(&'static str),
}

/// A condition whose state changed now.
pub fn condition(kind: &str, state: State, message: &str, reason: Option<Reason>) -> Value {
    let mut condition = json!({
        "type": kind,
        "state": state.word(),
        "lastTransitionTime": time::micros(time::now()),
    });
    if !message.is_empty() {
        condition["message"] = json!(message);
    }
    match reason {
        Some(Reason::Common(word)) => condition["reason"] = json!(word),
        Some(Reason::Execution(word)) => condition["executionReason"] = json!(word),
        None => {}
    }
    condition
}

/// Puts a condition into a resource's list, in place of the one of its type.
pub fn set(doc: &mut Value, condition: Value) {
    if !doc["conditions"].is_array() {
        doc["conditions"] = json!([]);
    }
    if let Some(list) = doc["conditions"].as_array_mut() {
        match list.iter_mut().find(|entry| entry["type"] == condition["type"]) {
            Some(entry) => *entry = condition,
            None => list.push(condition),
        }
    }
}

/// Adds to a count. One of zero is left out, as protobuf's JSON does it with every default.
pub fn add(doc: &mut Value, field: &str, change: i64) {
    let count = doc[field].as_i64().unwrap_or_default() + change;
    if count > 0 {
        doc[field] = json!(count);
    } else {
        clear(doc, field);
    }
}

/// Takes a field away.
pub fn clear(doc: &mut Value, field: &str) {
    if let Some(doc) = doc.as_object_mut() {
        doc.remove(field);
    }
}

//! What holds among the containers of a task.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::error::{ApiError, Result};
use crate::limits;

/// Checks number, names and `dependsOn`. `at` is the list's place.
pub fn several(containers: &[Value], at: &str) -> Result<()> {
    let wrong = |place: String, reason: String| Err(ApiError::field(&place, format!("{place}: {reason}")));
    if containers.len() > limits::CONTAINERS {
        return wrong(at.to_owned(), format!("At most {} containers are allowed.", limits::CONTAINERS));
    }
    let name = |container: &Value| container["name"].as_str().unwrap_or_default().to_owned();
    let names: Vec<String> = containers.iter().map(name).collect();
    for (index, own) in names.iter().enumerate() {
        if containers.len() > 1 && (own.is_empty() || names[..index].contains(own)) {
            let reason = "Containers must have unique names when there is more than one.".to_owned();
            return wrong(format!("{at}[{index}].name"), reason);
        }
        for other in depends_on(&containers[index]) {
            let place = format!("{at}[{index}].depends_on");
            if other == own {
                return wrong(place, format!("Container {own:?} cannot depend on itself."));
            }
            if !names.iter().any(|name| name == other) {
                return wrong(place, format!("Container {other:?} not found."));
            }
        }
    }
    match cycle(containers, &names) {
        Some(name) => {
            wrong(at.to_owned(), format!("Container {name:?} depends on itself through other containers."))
        }
        None => Ok(()),
    }
}

/// The names that a container waits for.
pub fn depends_on(container: &Value) -> impl Iterator<Item = &str> {
    container["dependsOn"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// A container that can never start, if there is one: what is left when those that can have started, round by round.
fn cycle(containers: &[Value], names: &[String]) -> Option<String> {
    let mut started: BTreeSet<&str> = BTreeSet::new();
    loop {
        let before = started.len();
        for (container, name) in containers.iter().zip(names) {
            if depends_on(container).all(|other| started.contains(other)) {
                started.insert(name);
            }
        }
        if started.len() == before {
            return names.iter().find(|name| !started.contains(name.as_str())).cloned();
        }
    }
}

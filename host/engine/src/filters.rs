//! What filters of all kinds share.

use regex::Regex;

use crate::{Error, ErrorKind, Filters, Result};

/// Errors: 400 for a filter that is not among the accepted ones.
pub(crate) fn accept(filters: &Filters, accepted: &[&str]) -> Result<()> {
    match filters.keys().find(|name| !accepted.contains(&name.as_str())) {
        Some(name) => Err(Error::new(ErrorKind::Invalid, format!("invalid filter '{name}'"))),
        None => Ok(()),
    }
}

/// dockerd's 400 for a value.
pub(crate) fn invalid_value(name: &str, value: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("invalid filter '{name}={value}'"))
}

/// `true` and `false` in Docker's spellings; none when the filter is not there.
pub(crate) fn flag(filters: &Filters, name: &str) -> Result<Option<bool>> {
    let Some(values) = filters.get(name).filter(|values| !values.is_empty()) else { return Ok(None) };
    let mut answer = None;
    for value in values {
        let flag = match value.as_str() {
            "true" | "1" | "True" | "TRUE" | "t" | "T" => true,
            "false" | "0" | "False" | "FALSE" | "f" | "F" => false,
            _ => return Err(invalid_value(name, value)),
        };
        if answer.is_some_and(|known| known != flag) {
            return Err(invalid_value(name, value));
        }
        answer = Some(flag);
    }
    Ok(answer)
}

/// All have to hold: `key` or `key=value`.
pub(crate) fn labels<'a>(wanted: &[String], label: impl Fn(&str) -> Option<&'a str>) -> bool {
    wanted.iter().all(|wanted| match wanted.split_once('=') {
        Some((key, value)) => label(key) == Some(value),
        None => label(wanted).is_some(),
    })
}

/// Values that match exactly or, as dockerd has it for ids and names, as a regular expression.
#[derive(Debug, Default)]
pub(crate) struct Patterns(Vec<(String, Option<Regex>)>);

impl Patterns {
    /// What is no regular expression matches itself alone, as in dockerd.
    pub fn new(values: Option<&Vec<String>>) -> Self {
        Self(values.into_iter().flatten().map(|value| (value.clone(), Regex::new(value).ok())).collect())
    }

    /// Whether one of them matches, or there are none.
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_empty()
            || self.0.iter().any(|(value, regex)| {
                value == text || regex.as_ref().is_some_and(|regex| regex.is_match(text))
            })
    }
}

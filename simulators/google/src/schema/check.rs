//! Bodies against the tables, in the words of Google's front end.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Map, Value};

use super::table::{Api, Kind};
use crate::error::{ApiError, Code, Result};
use crate::time;

/// What is wrong: the path of the field (none for the root) and the sentence.
type Violations = Vec<(String, String)>;

impl Api {
    /// Parses and checks the body of a method and gives it in canonical form: no `null`s, nothing that only the
    /// server sets, numbers and enums as the document has them.
    ///
    /// `root` is the request's field that the body stands for (`job`), empty when it is the request itself.
    ///
    /// # Errors
    /// 400 INVALID_ARGUMENT that names every wrong field.
    pub fn request(&self, method: &str, root: &str, body: &[u8]) -> Result<Value> {
        let name = self.methods.get(method).and_then(|method| method.request.as_deref());
        let Some(name) = name else {
            return if body.iter().all(u8::is_ascii_whitespace) { Ok(Value::Null) } else { Err(no_body()) };
        };
        self.body(name, root, body)
    }

    /// The same for a message by name.
    ///
    /// # Errors
    /// As [`Api::request`].
    pub fn body(&self, message: &str, root: &str, body: &[u8]) -> Result<Value> {
        let mut value = if body.iter().all(u8::is_ascii_whitespace) {
            Value::Object(Map::new())
        } else {
            serde_json::from_slice(body).map_err(|error| malformed(body, &error))?
        };
        let mut violations = Violations::new();
        if value.is_object() {
            self.message(message, root, &mut value, true, &mut violations);
        } else {
            let description =
                "Invalid JSON payload received. Unknown name \"\": Root element must be a message.";
            violations.push((root.to_owned(), description.to_owned()));
        }
        if violations.is_empty() {
            return Ok(value);
        }
        let sentences: Vec<&str> = violations.iter().map(|(_, sentence)| sentence.as_str()).collect();
        Err(ApiError::bad_request(sentences.join("\n"), &violations))
    }

    /// What is wrong with an answer of ours: the same rules, and its fields are the server's.
    #[cfg(test)]
    pub fn response_faults(&self, method: &str, answer: &Value) -> Vec<String> {
        match self.methods.get(method) {
            None => vec![format!("no method {method}")],
            Some(method) => match &method.response {
                Some(message) => self.message_faults(message, answer),
                None => Vec::new(),
            },
        }
    }

    /// What is wrong with a message of ours.
    #[cfg(test)]
    pub fn message_faults(&self, message: &str, answer: &Value) -> Vec<String> {
        let mut violations = Violations::new();
        let mut copy = answer.clone();
        self.message(message, "", &mut copy, false, &mut violations);
        if violations.is_empty() && copy != *answer {
            violations.push((String::new(), format!("not in canonical form: {answer} should be {copy}")));
        }
        violations.into_iter().map(|(path, sentence)| format!("{path}: {sentence}")).collect()
    }

    fn message(&self, name: &str, path: &str, value: &mut Value, request: bool, found: &mut Violations) {
        let (Some(fields), Some(object)) = (self.schemas.get(name), value.as_object_mut()) else {
            found.push((
                path.to_owned(),
                invalid(path, &self.type_name(&Kind::Message(name.to_owned())), value),
            ));
            return;
        };
        let keys: Vec<String> = object.keys().cloned().collect();
        for key in keys {
            let mut key = key;
            // Protobuf's JSON takes a field's original name too; Google's own clients use it.
            if request && key.contains('_') && !fields.contains_key(&key) && fields.contains_key(&camel(&key))
            {
                let entry = object.remove(&key).unwrap_or_default();
                key = camel(&key);
                object.insert(key.clone(), entry);
            }
            let Some(field) = fields.get(&key) else {
                found.push((path.to_owned(), unknown(&key, path, "Cannot find field.")));
                continue;
            };
            let Some(entry) = object.get_mut(&key) else { continue };
            if entry.is_null() || (request && field.read_only) {
                object.remove(&key);
                continue;
            }
            self.value(&field.kind, (path, &key), entry, request, found);
        }
    }

    fn value(
        &self,
        kind: &Kind,
        place: (&str, &str),
        value: &mut Value,
        request: bool,
        found: &mut Violations,
    ) {
        let (parent, key) = place;
        let path = join(parent, key);
        match kind {
            Kind::Any => {}
            Kind::Message(_) | Kind::Map(_) if value.is_array() => {
                let reason = "Proto field is not repeating, cannot start list.";
                found.push((parent.to_owned(), unknown(key, parent, reason)));
            }
            Kind::Message(name) => self.message(name, &path, value, request, found),
            Kind::List(item) => match value.as_array_mut() {
                Some(items) => {
                    for (index, entry) in items.iter_mut().enumerate() {
                        self.value(item, (parent, &format!("{key}[{index}]")), entry, request, found);
                    }
                }
                None => found.push((path.clone(), invalid(&path, &self.type_name(kind), value))),
            },
            Kind::Map(item) => match value.as_object_mut() {
                Some(entries) => {
                    for (name, entry) in entries.iter_mut() {
                        let step = format!("{key}[{name}]");
                        self.value(item, (parent, &step), entry, request, found);
                    }
                }
                None => found.push((path.clone(), invalid(&path, &self.type_name(kind), value))),
            },
            _ if value.is_object() => {
                let reason = format!(
                    "Invalid value at '{path}' ({}), Starting an object on a scalar field",
                    self.type_name(kind)
                );
                found.push((path, reason));
            }
            _ if value.is_array() => {
                let reason = "Proto field is not repeating, cannot start list.";
                found.push((parent.to_owned(), unknown(key, parent, reason)));
            }
            scalar => match canonical(scalar, key, value) {
                Ok(Some(better)) => *value = better,
                Ok(None) => {}
                Err(reason) => {
                    let sentence = match reason {
                        Some(reason) => {
                            format!(
                                "Invalid value at '{path}' ({}), Field '{key}', {reason}",
                                self.type_name(scalar)
                            )
                        }
                        None => invalid(&path, &self.type_name(scalar), value),
                    };
                    found.push((path, sentence));
                }
            },
        }
    }

    /// Checks a query parameter's text.
    pub(super) fn parameter(&self, kind: &Kind, name: &str, text: &str) -> Result<Value> {
        let raw = match kind {
            // Python's clients write `True`.
            Kind::Bool => match text.to_ascii_lowercase().as_str() {
                "true" | "" | "1" => Value::Bool(true),
                "false" | "0" => Value::Bool(false),
                _ => Value::String(text.to_owned()),
            },
            Kind::List(item) => return self.parameter(item, name, text),
            _ => Value::String(text.to_owned()),
        };
        match canonical(kind, name, &raw) {
            Ok(better) => Ok(better.unwrap_or(raw)),
            Err(_) => {
                let field = snake(name);
                let sentence = invalid(&field, &self.type_name(kind), &raw);
                Err(ApiError::bad_request(sentence.clone(), &[(field, sentence)]))
            }
        }
    }
}

/// A scalar in the form that the document has: `Ok(None)` when it is already. `Err(Some)` says why not.
fn canonical(kind: &Kind, key: &str, value: &Value) -> std::result::Result<Option<Value>, Option<String>> {
    match (kind, value) {
        (Kind::Bool, Value::Bool(_)) | (Kind::Text, Value::String(_)) | (Kind::Any, _) => Ok(None),
        (Kind::Float, Value::Number(_)) => Ok(None),
        (Kind::Float, Value::String(text)) => {
            let number = text.parse().ok().and_then(serde_json::Number::from_f64).ok_or(None)?;
            Ok(Some(Value::Number(number)))
        }
        (Kind::Integer { bits, signed }, _) => integer(*bits, *signed, value).ok_or(None),
        (Kind::Bytes, Value::String(text)) => {
            let good = STANDARD.decode(text).is_ok() || URL_SAFE.decode(text).is_ok();
            if good { Ok(None) } else { Err(Some("Base64 decoding failed".to_owned())) }
        }
        (Kind::Timestamp, Value::String(text)) => match text.parse::<jiff::Timestamp>() {
            Ok(_) => Ok(None),
            Err(_) => Err(Some(format!("Invalid time format: Failed to parse input {text:?}"))),
        },
        (Kind::Duration, Value::String(text)) => match time::duration(text.strip_prefix('-').unwrap_or(text))
        {
            Some(_) => Ok(None),
            None => Err(Some("Illegal duration format; duration must end with 's'".to_owned())),
        },
        (Kind::Enum(values), Value::String(text)) => {
            // Python's clients write enums as numbers, in query strings too.
            match text.parse().ok().and_then(|number| enum_name(key, values, number)) {
                Some(name) => Ok(Some(Value::String(name))),
                None if values.contains(text) => Ok(None),
                None => Err(None),
            }
        }
        (Kind::Enum(values), Value::Number(number)) => {
            let name = number.as_i64().and_then(|number| enum_name(key, values, number));
            Ok(Some(Value::String(name.ok_or(None)?)))
        }
        _ => Err(None),
    }
}

/// The outer `None` is a wrong number, the inner one that it is in form.
#[allow(clippy::option_option)]
fn integer(bits: u8, signed: bool, value: &Value) -> Option<Option<Value>> {
    let number: i128 = match value {
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => i128::from(number),
            (_, Some(number), _) => i128::from(number),
            (_, _, Some(number)) if number.fract() == 0.0 && number.abs() < 9e15 => number as i128,
            _ => return None,
        },
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    let (low, high) = match (bits, signed) {
        (32, true) => (i128::from(i32::MIN), i128::from(i32::MAX)),
        (32, false) => (0, i128::from(u32::MAX)),
        (_, true) => (i128::from(i64::MIN), i128::from(i64::MAX)),
        (_, false) => (0, i128::from(u64::MAX)),
    };
    if number < low || number > high {
        return None;
    }
    let better =
        if bits == 32 { Value::from(i64::try_from(number).ok()?) } else { Value::String(number.to_string()) };
    Some(if better == *value { None } else { Some(better) })
}

/// The name of an enum's number. The document lists names in the order of their numbers, without the numbers;
/// launch stages and severities are the ones with gaps.
fn enum_name(key: &str, values: &[String], number: i64) -> Option<String> {
    let name = match key {
        "launchStage" => match number {
            0 => "LAUNCH_STAGE_UNSPECIFIED",
            1 => "EARLY_ACCESS",
            2 => "ALPHA",
            3 => "BETA",
            4 => "GA",
            5 => "DEPRECATED",
            6 => "UNIMPLEMENTED",
            7 => "PRELAUNCH",
            _ => return None,
        },
        "severity" if values.first().is_some_and(|first| first == "DEFAULT") => {
            if number % 100 != 0 {
                return None;
            }
            return values.get(usize::try_from(number / 100).ok()?).cloned();
        }
        _ => return values.get(usize::try_from(number).ok()?).cloned(),
    };
    values.iter().find(|value| *value == name).cloned()
}

fn join(parent: &str, key: &str) -> String {
    let key = match key.split_once('[') {
        Some((name, rest)) => format!("{}[{rest}", snake(name)),
        None => snake(key),
    };
    if parent.is_empty() { key } else { format!("{parent}.{key}") }
}

/// `maxRetries` as protobuf names it: `max_retries`.
pub(super) fn snake(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}

/// `max_retries` as JSON names it: `maxRetries`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut text = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        text.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        text.push_str(letters.as_str());
    }
    text
}

fn unknown(key: &str, parent: &str, reason: &str) -> String {
    match parent {
        "" => format!("Invalid JSON payload received. Unknown name \"{key}\": {reason}"),
        parent => format!("Invalid JSON payload received. Unknown name \"{key}\" at '{parent}': {reason}"),
    }
}

fn invalid(path: &str, kind: &str, value: &Value) -> String {
    format!("Invalid value at '{path}' ({kind}), {value}")
}

fn malformed(body: &[u8], error: &serde_json::Error) -> ApiError {
    let text = String::from_utf8_lossy(body);
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let line: String = line.chars().take(120).collect();
    let column = error.column().saturating_sub(1).min(120);
    let what = if error.is_eof() { "Unexpected end of string." } else { "Unexpected token." };
    let message = format!("Invalid JSON payload received. {what}\n{line}\n{:column$}^", "");
    ApiError::bad_request(message.clone(), &[(String::new(), message)])
}

fn no_body() -> ApiError {
    ApiError::new(
        Code::InvalidArgument,
        "Invalid JSON payload received. Unknown name \"\": Request payload is not allowed for this method.",
    )
}

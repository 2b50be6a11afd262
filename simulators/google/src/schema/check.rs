//! Bodies against the tables, in the words of Google's front end.

use serde_json::{Map, Value};

use super::scalar::canonical;
use super::table::{Api, Kind};
use crate::error::{ApiError, Code, Result};

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

//! Bodies and query strings against the tables, in the words of Resource Manager.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sockerless_simulator_common::schema::{Field, Kind};

use super::table::{Api, Method};
use crate::error::{ArmError, Result};

/// The query parameter that says where a page of a listing begins.
pub const SKIP: &str = "$skiptoken";

impl Api {
    /// Parses and checks the body of a method and gives it in canonical form: no `null`s, nothing that only the server
    /// sets, enums as the model spells them. A method without a body gives `null`.
    ///
    /// # Errors
    /// 400 InvalidRequestContent that names the first wrong field.
    pub fn request(&self, method: &Method, body: &[u8]) -> Result<Value> {
        let empty = body.iter().all(u8::is_ascii_whitespace);
        let Some(model) = &method.request else {
            // Clients send `{}` where nothing is wanted; Resource Manager does not look at it.
            return Ok(Value::Null);
        };
        if empty {
            // A start has an optional template; for all else something has to be there.
            return if method.http == "POST" {
                Ok(Value::Null)
            } else {
                Err(invalid(
                    "The request content was invalid and could not be deserialized: the body is empty.",
                ))
            };
        }
        let mut value: Value = serde_json::from_slice(body).map_err(|error| {
            invalid(&format!("The request content was invalid and could not be deserialized: '{error}'."))
        })?;
        self.model(model, "", &mut value, method.http != "PATCH")?;
        Ok(value)
    }

    /// Checks a method's query string.
    ///
    /// # Errors
    /// 400 for a missing or other `api-version`, or for a parameter that the method does not have.
    pub fn query(&self, method: &Method, kind: &str, raw: Option<&str>) -> Result<BTreeMap<String, String>> {
        let given: BTreeMap<String, String> =
            url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes()).into_owned().collect();
        match given.get("api-version") {
            None => {
                return Err(ArmError::bad(
                    "MissingApiVersionParameter",
                    "The api-version query parameter (?api-version=) is required for all requests.",
                ));
            }
            Some(version) if *version != self.version => {
                return Err(ArmError::bad(
                    "NoRegisteredProviderFound",
                    format!(
                        "No registered resource provider found for API version '{version}' for type '{kind}'. The supported \
                         api-versions are '{}'.",
                        self.version
                    ),
                ));
            }
            Some(_) => {}
        }
        for (name, text) in &given {
            // Of the address of a next page, which the service makes and no model knows.
            if name == SKIP && method.http == "GET" {
                continue;
            }
            let Some(field) = method.query.get(name) else {
                let message = format!("The query parameter '{name}' is not known to this operation.");
                return Err(ArmError::bad("InvalidQueryParameter", message));
            };
            if matches!(field.kind, Kind::Integer { .. }) && text.parse::<u32>().is_err() {
                let message = format!("The query parameter '{name}' is no number: '{text}'.");
                return Err(ArmError::bad("InvalidQueryParameterValue", message));
            }
        }
        Ok(given)
    }

    /// What is wrong with an answer of ours.
    #[cfg(test)]
    pub fn faults(&self, model: &str, answer: &Value) -> Option<String> {
        let check = |model: &str, value: &Value| {
            let mut copy = value.clone();
            self.check(model, "", &mut copy, false, true).err().map(|error| error.message)
        };
        match model.strip_prefix('[').and_then(|model| model.strip_suffix(']')) {
            Some(item) => answer["value"].as_array()?.iter().find_map(|entry| check(item, entry)),
            None => check(model, answer),
        }
    }

    fn model(&self, name: &str, path: &str, value: &mut Value, complete: bool) -> Result<()> {
        self.check(name, path, value, true, complete)
    }

    /// `complete`: what the model requires has to be there (a PATCH may leave it out).
    fn check(&self, name: &str, path: &str, value: &mut Value, request: bool, complete: bool) -> Result<()> {
        let Some(fields) = self.schemas.get(name) else {
            return Err(ArmError::internal(format!("the models have no {name}")));
        };
        let Some(object) = value.as_object_mut() else {
            return Err(unlike(value, name, path));
        };
        let keys: Vec<String> = object.keys().cloned().collect();
        for key in keys {
            let Some((spelled, field)) = known(fields, &key) else {
                return Err(invalid(&format!(
                    "The request content was invalid and could not be deserialized: 'Could not find member '{key}' on object of \
                     type '{name}'. Path '{}'.'.",
                    join(path, &key)
                )));
            };
            let mut entry = object.remove(&key).unwrap_or_default();
            if entry.is_null() || (request && field.read_only) {
                continue;
            }
            self.value(&field.kind, &join(path, &key), &mut entry, request, complete)?;
            object.insert(spelled.to_owned(), entry);
        }
        self.required(fields, path, object, request && complete)
    }

    fn required(
        &self,
        fields: &BTreeMap<String, Field>,
        path: &str,
        object: &Map<String, Value>,
        asked: bool,
    ) -> Result<()> {
        let missing = fields.iter().find(|(name, field)| field.required && !object.contains_key(*name));
        match missing {
            Some((name, _)) if asked && name.as_str() == "location" => Err(ArmError::bad(
                "LocationRequired",
                "The location property is required for this definition.",
            )),
            Some((name, _)) if asked => Err(invalid(&format!(
                "The request content was invalid and could not be deserialized: 'Required property '{name}' not found in JSON. \
                 Path '{path}'.'."
            ))),
            _ => Ok(()),
        }
    }

    fn value(&self, kind: &Kind, path: &str, value: &mut Value, request: bool, complete: bool) -> Result<()> {
        match kind {
            Kind::Any => Ok(()),
            Kind::Message(name) => self.check(name, path, value, request, complete),
            Kind::List(item) => {
                let Some(entries) = value.as_array_mut() else { return Err(unlike(value, "list", path)) };
                for (index, entry) in entries.iter_mut().enumerate() {
                    self.value(item, &format!("{path}[{index}]"), entry, request, complete)?;
                }
                Ok(())
            }
            Kind::Map(item) => {
                let Some(entries) = value.as_object_mut() else { return Err(unlike(value, "object", path)) };
                for (name, entry) in entries.iter_mut() {
                    self.value(item, &join(path, name), entry, request, complete)?;
                }
                Ok(())
            }
            Kind::Enum(values) => {
                let text = value.as_str().unwrap_or_default();
                let Some(spelled) = values.iter().find(|known| known.eq_ignore_ascii_case(text)) else {
                    return Err(unlike(value, &values.join("|"), path));
                };
                *value = Value::String(spelled.clone());
                Ok(())
            }
            scalar => {
                if fits(scalar, value) {
                    Ok(())
                } else {
                    Err(unlike(value, word(scalar), path))
                }
            }
        }
    }
}

/// Names of JSON are read without regard to case, as Azure's own deserialiser does.
fn known<'a>(fields: &'a BTreeMap<String, Field>, key: &str) -> Option<(&'a str, &'a Field)> {
    if let Some((name, field)) = fields.get_key_value(key) {
        return Some((name, field));
    }
    fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(name, field)| (name.as_str(), field))
}

fn fits(kind: &Kind, value: &Value) -> bool {
    match kind {
        Kind::Bool => value.is_boolean(),
        Kind::Integer { .. } => value.is_i64() || value.is_u64(),
        Kind::Float => value.is_number(),
        Kind::Timestamp => value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
        _ => value.is_string(),
    }
}

fn word(kind: &Kind) -> &'static str {
    match kind {
        Kind::Bool => "System.Boolean",
        Kind::Integer { .. } => "System.Int32",
        Kind::Float => "System.Double",
        Kind::Timestamp => "System.DateTimeOffset",
        _ => "System.String",
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn unlike(value: &Value, kind: &str, path: &str) -> ArmError {
    invalid(&format!(
        "The request content was invalid and could not be deserialized: 'Error converting value {value} to type '{kind}'. Path \
         '{path}'.'."
    ))
}

fn invalid(message: &str) -> ArmError {
    ArmError::bad("InvalidRequestContent", message)
}

//! Query strings against the tables.

use std::collections::BTreeMap;

use serde_json::Value;

use super::table::Api;
use crate::error::{ApiError, Result};

/// The parameters of a call, checked.
#[derive(Debug, Default)]
pub struct Query {
    values: BTreeMap<String, Vec<Value>>,
}

/// Parameters of the front end that no discovery document lists (`$alt` is what Python's clients say), and those of uploads,
/// which the document describes in prose.
const FRONT_END: &[&str] =
    &["$alt", "$.xgafv", "$fields", "$key", "$prettyPrint", "$userProject", "upload_id"];

impl Api {
    /// Checks the raw query string of a method.
    ///
    /// # Errors
    /// 400 for a parameter that the method does not have, a wrong value, or a required one that is missing.
    pub fn query(&self, method: &str, raw: Option<&str>) -> Result<Query> {
        let known = self.methods.get(method).map(|method| &method.query);
        let mut query = Query::default();
        for (name, text) in url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
            let field = known
                .and_then(|known| known.get(name.as_ref()))
                .or_else(|| self.parameters.get(name.as_ref()));
            match field {
                Some(field) => {
                    let value = self.parameter(&field.kind, &name, &text)?;
                    query.values.entry(name.into_owned()).or_default().push(value);
                }
                None if FRONT_END.contains(&name.as_ref()) => {
                    query.values.entry(name.into_owned()).or_default().push(Value::String(text.into_owned()));
                }
                None => {
                    let message = format!(
                        "Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter. \
                         Field '{name}' could not be found in request message."
                    );
                    return Err(ApiError::bad_request(message.clone(), &[(String::new(), message)]));
                }
            }
        }
        for (name, field) in known.into_iter().flatten() {
            if field.required && !query.values.contains_key(name) {
                let message = format!("Required parameter: {name}");
                return Err(ApiError::bad_request(message.clone(), &[(name.clone(), message)]));
            }
        }
        Ok(query)
    }
}

impl Query {
    fn last(&self, name: &str) -> Option<&Value> {
        self.values.get(name)?.last()
    }

    /// A parameter's text; empty counts as absent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.last(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// A switch.
    pub fn flag(&self, name: &str) -> bool {
        self.last(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A whole number, whatever its width.
    pub fn number(&self, name: &str) -> Option<i64> {
        match self.last(name)? {
            Value::String(text) => text.parse().ok(),
            value => value.as_i64(),
        }
    }
}

//! The tables that `xtask/python/azure_schemas.py` makes.

use std::collections::BTreeMap;

use serde_json::Value;
use sockerless_simulator_common::schema::{Field, fields};

/// A resource provider as its SDK has it.
pub struct Api {
    /// The version that the models are of.
    pub version: String,
    /// Methods, by name.
    pub methods: BTreeMap<String, Method>,
    /// Models, by name.
    pub schemas: BTreeMap<String, BTreeMap<String, Field>>,
}

/// A method.
pub struct Method {
    /// `GET` and so on.
    pub http: String,
    /// The segments of its path; what is in braces is any name.
    pub path: Vec<String>,
    /// Query parameters.
    pub query: BTreeMap<String, Field>,
    /// The model of its body.
    pub request: Option<String>,
    /// The model of its answer; in brackets that of each item of a page.
    #[cfg(test)]
    pub response: Option<String>,
}

impl Api {
    /// Reads a table that is compiled in.
    pub(super) fn read(text: &str) -> Self {
        // `schema::tests` reads each of them: a broken one shows as an empty API here, and fails there.
        let table: Value = serde_json::from_str(text).unwrap_or_default();
        let entries = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let methods = entries(&table["methods"]).into_iter().map(|(name, method)| {
            let path = text(&method["path"]).trim_matches('/').split('/').map(str::to_owned).collect();
            let side = |side: &str| method[side].as_str().map(str::to_owned);
            let method = Method {
                http: text(&method["http"]),
                path,
                query: fields(&method["query"]),
                request: side("request"),
                #[cfg(test)]
                response: side("response"),
            };
            (name, method)
        });
        let schemas = entries(&table["schemas"]).into_iter().map(|(name, schema)| (name, fields(&schema)));
        Self { version: text(&table["version"]), methods: methods.collect(), schemas: schemas.collect() }
    }

    /// The method that answers at a path, with what stands for its names in braces.
    pub fn find(&self, http: &str, path: &[&str]) -> Option<(&str, &Method, Vec<String>)> {
        // A literal segment goes before a name: `…/privateDnsZones/Z/virtualNetworkLinks` is no type of records.
        let fits = self.methods.iter().filter(|(_, method)| method.http == http);
        let fits = fits.filter_map(|(name, method)| Some((name, method, fit(&method.path, path)?)));
        fits.min_by_key(|(_, _, names)| names.len())
            .map(|(name, method, names)| (name.as_str(), method, names))
    }

    /// Whether any method answers at a path.
    pub fn has_path(&self, path: &[&str]) -> bool {
        self.methods.values().any(|method| fit(&method.path, path).is_some())
    }
}

fn fit(template: &[String], path: &[&str]) -> Option<Vec<String>> {
    if template.len() != path.len() {
        return None;
    }
    let mut names = Vec::new();
    for (wanted, given) in template.iter().zip(path) {
        if wanted.starts_with('{') {
            names.push((*given).to_owned());
        } else if !wanted.eq_ignore_ascii_case(given) {
            return None;
        }
    }
    Some(names)
}

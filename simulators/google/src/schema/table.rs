//! The field tables that `cargo xtask schemas` makes (see there for the words of a type).

use std::collections::BTreeMap;

use serde_json::Value;
use sockerless_simulator_common::schema::fields;
pub use sockerless_simulator_common::schema::{Field, Kind};

/// An API as its discovery document has it.
pub struct Api {
    /// The protobuf package, for the names of types in messages.
    pub package: &'static str,
    /// What the document puts before the names of the package's messages.
    pub prefix: &'static str,
    /// Methods by id.
    pub methods: BTreeMap<String, Method>,
    /// Query parameters of every method.
    pub parameters: BTreeMap<String, Field>,
    /// Messages by name.
    pub schemas: BTreeMap<String, BTreeMap<String, Field>>,
}

/// A method.
pub struct Method {
    /// Query parameters of its own.
    pub query: BTreeMap<String, Field>,
    /// The message of its body.
    pub request: Option<String>,
    /// The message of its answer.
    #[cfg(test)]
    pub response: Option<String>,
}

impl Api {
    /// Reads a table that is compiled in.
    pub(super) fn read(text: &str, package: &'static str, prefix: &'static str) -> Self {
        // The tables are compiled in and `schema::tests` reads each of them: a broken one fails the build's
        // tests, and would show as an empty API here.
        let table: Value = serde_json::from_str(text).unwrap_or_default();
        let entries = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let methods = entries(&table["methods"]).into_iter().map(|(id, method)| {
            let name = |side: &str| method[side].as_str().map(str::to_owned);
            let query = fields(&method["query"]);
            #[cfg(test)]
            let method = Method { query, request: name("request"), response: name("response") };
            #[cfg(not(test))]
            let method = Method { query, request: name("request") };
            (id, method)
        });
        let schemas = entries(&table["schemas"]).into_iter().map(|(name, schema)| (name, fields(&schema)));
        Self {
            package,
            prefix,
            methods: methods.collect(),
            parameters: fields(&table["parameters"]),
            schemas: schemas.collect(),
        }
    }

    /// A type's name in the messages of Google's front end.
    pub(super) fn type_name(&self, kind: &Kind) -> String {
        match kind {
            Kind::Bool => "TYPE_BOOL".to_owned(),
            Kind::Integer { bits, signed } => format!("TYPE_{}INT{bits}", if *signed { "" } else { "U" }),
            Kind::Float => "TYPE_DOUBLE".to_owned(),
            Kind::Text | Kind::Any => "TYPE_STRING".to_owned(),
            Kind::Bytes => "TYPE_BYTES".to_owned(),
            Kind::Timestamp => "type.googleapis.com/google.protobuf.Timestamp".to_owned(),
            Kind::Duration => "type.googleapis.com/google.protobuf.Duration".to_owned(),
            Kind::Enum(_) => "TYPE_ENUM".to_owned(),
            Kind::Message(name) => {
                let name = name.strip_prefix(self.prefix).unwrap_or(name);
                format!("type.googleapis.com/{}.{name}", self.package)
            }
            Kind::List(kind) | Kind::Map(kind) => self.type_name(kind),
        }
    }
}

//! The words of the field tables that `cargo xtask schemas` makes (see there).

use std::collections::BTreeMap;

use serde_json::Value;

/// A field or parameter.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Its type.
    pub kind: Kind,
    /// Only the server sets it.
    pub read_only: bool,
    /// It has to be there.
    pub required: bool,
}

/// A type.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    Any,
    /// true or false.
    Bool,
    /// A whole number; a number in JSON up to 32 bits, a string beyond.
    Integer {
        /// 32 or 64; 0 when the model does not say.
        bits: u8,
        /// Below zero too.
        signed: bool,
    },
    /// A number.
    Float,
    /// Text.
    Text,
    /// Base64.
    Bytes,
    /// RFC 3339.
    Timestamp,
    /// `1.5s`.
    Duration,
    /// Names of a set.
    Enum(Vec<String>),
    /// Another message.
    Message(String),
    /// Several.
    List(Box<Kind>),
    /// By name.
    Map(Box<Kind>),
}

/// The fields of a message, by name.
pub fn fields(value: &Value) -> BTreeMap<String, Field> {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(name, word)| Some((name.clone(), field(word.as_str()?)?))).collect()
}

/// Reads the word of a field. None when it is no such word.
pub fn field(word: &str) -> Option<Field> {
    let (word, read_only) = word.strip_suffix(" ro").map_or((word, false), |word| (word, true));
    let (word, required) = word.strip_suffix(" req").map_or((word, false), |word| (word, true));
    Some(Field { kind: kind(word)?, read_only, required })
}

fn kind(word: &str) -> Option<Kind> {
    let inner = |open: char, close: char| word.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    if let Some(name) = word.strip_prefix('#') {
        return Some(Kind::Message(name.to_owned()));
    }
    if let Some(item) = inner('[', ']') {
        return Some(Kind::List(Box::new(kind(item)?)));
    }
    if let Some(item) = inner('{', '}') {
        return Some(Kind::Map(Box::new(kind(item)?)));
    }
    if let Some(values) = inner('<', '>') {
        return Some(Kind::Enum(values.split('|').map(str::to_owned).collect()));
    }
    Some(match word {
        "any" => Kind::Any,
        "bool" => Kind::Bool,
        // A number in JSON, whatever its width.
        "integer" => Kind::Integer { bits: 0, signed: true },
        "int32" => Kind::Integer { bits: 32, signed: true },
        "uint32" => Kind::Integer { bits: 32, signed: false },
        "int64" => Kind::Integer { bits: 64, signed: true },
        "uint64" => Kind::Integer { bits: 64, signed: false },
        "double" | "float" => Kind::Float,
        // Field masks and dates have no meaning in the methods served: text.
        "string" | "fieldmask" | "date" => Kind::Text,
        "bytes" => Kind::Bytes,
        "timestamp" => Kind::Timestamp,
        "duration" => Kind::Duration,
        _ => return None,
    })
}

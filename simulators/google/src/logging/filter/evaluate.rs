//! Expression against entry.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value;

use super::{Bounds, Expression, Filter, Operator};
use crate::logging::entries::severity_number;
use crate::logging::store::EXECUTION;
use crate::time;

impl Filter {
    /// Whether an entry's resource matches.
    pub fn matches(&self, entry: &Value) -> bool {
        matches(&self.0, entry)
    }

    /// Bounds that every match keeps.
    pub fn bounds(&self) -> Bounds {
        let mut bounds = Bounds { from: i64::MIN, to: i64::MAX, execution: None };
        narrow(&self.0, &mut bounds);
        bounds
    }
}

fn narrow(expression: &Expression, bounds: &mut Bounds) {
    match expression {
        Expression::All(parts) => parts.iter().for_each(|part| narrow(part, bounds)),
        Expression::Compare(path, operator, value) => match (path.as_slice(), operator) {
            ([labels, key], Operator::Equal) if labels == "labels" && key == EXECUTION => {
                // Names of executions are in lower case; the comparison ignores case.
                bounds.execution = Some(value.to_lowercase());
            }
            ([field], operator) if field == "timestamp" => {
                let Some(nanos) = instant(value).map(time::to_nanos) else { return };
                match operator {
                    Operator::Equal => {
                        (bounds.from, bounds.to) = (bounds.from.max(nanos), bounds.to.min(nanos))
                    }
                    Operator::Greater | Operator::GreaterOrEqual => bounds.from = bounds.from.max(nanos),
                    Operator::Less | Operator::LessOrEqual => bounds.to = bounds.to.min(nanos),
                    Operator::NotEqual | Operator::Has => {}
                }
            }
            _ => {}
        },
        Expression::Any(_) | Expression::Not(_) | Expression::Text(_) => {}
    }
}

fn matches(expression: &Expression, entry: &Value) -> bool {
    match expression {
        Expression::All(parts) => parts.iter().all(|part| matches(part, entry)),
        Expression::Any(parts) => parts.iter().any(|part| matches(part, entry)),
        Expression::Not(inner) => !matches(inner, entry),
        Expression::Text(text) => contains(entry, &text.to_lowercase()),
        Expression::Compare(path, operator, value) => match path.as_slice() {
            [field] if field == "\0log_id" => {
                let name = entry["logName"].as_str().unwrap_or_default();
                name.rsplit('/').next().is_some_and(|id| id.eq_ignore_ascii_case(value))
            }
            [field] if field == "severity" => {
                let own = entry["severity"].as_str().and_then(severity_number).unwrap_or_default();
                let wanted = severity_number(value).or_else(|| value.parse().ok());
                wanted.is_some_and(|wanted| ordered(own.cmp(&wanted), *operator))
            }
            _ => compare(entry, path, *operator, value),
        },
    }
}

/// Compares what a path leads to; any element of a list will do, a field that is not there never does.
fn compare(at: &Value, path: &[String], operator: Operator, value: &str) -> bool {
    if let Value::Array(items) = at {
        return items.iter().any(|item| compare(item, path, operator, value));
    }
    match path.split_first() {
        Some((field, rest)) => at.get(field).is_some_and(|next| compare(next, rest, operator, value)),
        None => scalar(at, operator, value),
    }
}

fn scalar(at: &Value, operator: Operator, value: &str) -> bool {
    if operator == Operator::Has && value == "*" {
        return !at.is_null();
    }
    match at {
        Value::Object(fields) if operator == Operator::Has => {
            fields.contains_key(value) || contains(at, &value.to_lowercase())
        }
        Value::Object(_) | Value::Null | Value::Array(_) => false,
        Value::Bool(own) => match value.to_lowercase().parse::<bool>() {
            Ok(wanted) => ordered(own.cmp(&wanted), operator),
            Err(_) => false,
        },
        Value::Number(own) => match (own.as_f64(), value.parse::<f64>()) {
            (Some(own), Ok(wanted)) => own.partial_cmp(&wanted).is_some_and(|order| ordered(order, operator)),
            _ => false,
        },
        Value::String(own) => text(own, operator, value),
    }
}

fn text(own: &str, operator: Operator, value: &str) -> bool {
    if let (Ok(own), Some(wanted)) = (own.parse::<Timestamp>(), instant(value)) {
        return ordered(own.cmp(&wanted), operator);
    }
    let (own, wanted) = (own.to_lowercase(), value.to_lowercase());
    match operator {
        Operator::Has => own.contains(&wanted),
        operator => ordered(own.cmp(&wanted), operator),
    }
}

fn ordered(order: Ordering, operator: Operator) -> bool {
    match operator {
        Operator::Equal | Operator::Has => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
    }
}

/// Whether a text, in lower case, stands somewhere in a value.
fn contains(at: &Value, wanted: &str) -> bool {
    match at {
        Value::String(text) => text.to_lowercase().contains(wanted),
        Value::Array(items) => items.iter().any(|item| contains(item, wanted)),
        Value::Object(fields) => fields.values().any(|value| contains(value, wanted)),
        Value::Number(number) => number.to_string() == wanted,
        Value::Bool(_) | Value::Null => false,
    }
}

/// A time, or a day.
fn instant(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| format!("{text}T00:00:00Z").parse().ok())
}

//! Numbers, texts, times and enums in the form that the discovery documents have.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::Value;

use super::table::Kind;
use crate::time;

/// A scalar in the form that the document has: `Ok(None)` when it is already. `Err(Some)` says why not.
pub(super) fn canonical(
    kind: &Kind,
    key: &str,
    value: &Value,
) -> std::result::Result<Option<Value>, Option<String>> {
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

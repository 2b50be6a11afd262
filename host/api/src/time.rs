//! Points in time, as Docker's clients write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, civil, tz::TimeZone};

use crate::errors::ApiError;

/// Reads seconds since 1970 with an optional fraction (`1700000000.000000123`), RFC 3339 (also
/// without a zone, then UTC, or without a time of day), or a Go duration before `now` (`1h30m`).
pub fn parse(text: &str, now: SystemTime) -> Result<SystemTime, ApiError> {
    seconds(text)
        .or_else(|| rfc3339(text))
        .or_else(|| duration(text).and_then(|ago| now.checked_sub(ago)))
        .ok_or_else(|| {
            ApiError::invalid(format!("invalid timestamp {text:?}: neither seconds, RFC 3339 nor a duration"))
        })
}

fn seconds(text: &str) -> Option<SystemTime> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    // Nine digits are nanoseconds; what is missing on the right is zero, what is more is cut.
    let nanos = fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(9)
        .fold(0_u32, |n, b| n * 10 + u32::from(b - b'0'));
    let base = if whole < 0 {
        UNIX_EPOCH.checked_sub(Duration::from_secs(whole.unsigned_abs()))?
    } else {
        UNIX_EPOCH.checked_add(Duration::from_secs(whole.unsigned_abs()))?
    };
    base.checked_add(Duration::from_nanos(nanos.into()))
}

fn rfc3339(text: &str) -> Option<SystemTime> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.into());
    }
    let local: civil::DateTime = text.parse().ok()?;
    Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp().into())
}

/// A sequence of numbers with units, as Go's `time.ParseDuration` takes them.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * unit).ok()?)?;
        rest = &rest[end..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }

    #[test]
    fn every_form_that_clients_use_is_read() {
        let at = |seconds: u64, nanos: u32| UNIX_EPOCH + Duration::new(seconds, nanos);
        for (text, expected) in [
            ("0", at(0, 0)),
            ("1700000000", at(1_700_000_000, 0)),
            ("1700000000.000000123", at(1_700_000_000, 123)),
            ("1700000000.5", at(1_700_000_000, 500_000_000)),
            ("1700000000.1234567899", at(1_700_000_000, 123_456_789)),
            ("2023-11-14T22:13:20Z", at(1_700_000_000, 0)),
            ("2023-11-14T22:13:20.25Z", at(1_700_000_000, 250_000_000)),
            ("2023-11-14T23:13:20+01:00", at(1_700_000_000, 0)),
            ("2023-11-14T22:13:20", at(1_700_000_000, 0)),
            ("2023-11-14", at(1_699_920_000, 0)),
            ("10m", at(1_699_999_400, 0)),
            ("1h30m", at(1_699_994_600, 0)),
            ("1.5s", at(1_699_999_998, 500_000_000)),
            ("250ms", at(1_699_999_999, 750_000_000)),
        ] {
            assert_eq!(parse(text, now()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "yesterday", "1.x", "10x", "m", "1h30", "--1", "2023-13-01"] {
            assert!(parse(text, now()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn seconds_and_nanoseconds_survive(seconds in 0..4_000_000_000_u64, nanos in 0..1_000_000_000_u32) {
            let time = parse(&format!("{seconds}.{nanos:09}"), now()).unwrap();
            prop_assert_eq!(time, UNIX_EPOCH + Duration::new(seconds, nanos));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = parse(&text, now());
        }
    }
}

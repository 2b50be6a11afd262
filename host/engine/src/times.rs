//! Times as Docker's clients write them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};

use crate::{Error, ErrorKind, Filters, Result, filters::invalid_value};

/// The value of the filter `until`. Errors: 400 when there are several, or for one that cannot be read.
pub(crate) fn until(filters: &Filters, now: Timestamp) -> Result<Option<Timestamp>> {
    match filters.get("until").map(Vec::as_slice) {
        None | Some([]) => Ok(None),
        Some([value]) => parse(value, now).map(Some).ok_or_else(|| invalid_value("until", value)),
        Some(_) => Err(Error::new(ErrorKind::Invalid, "more than one until filter specified")),
    }
}

/// How long until a time; nothing when it is over.
pub(crate) fn left(until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default()
}

/// Seconds since 1970 with a fraction, RFC 3339 (also without zone, or a date alone), or how long ago (`10m`, `1h30m`).
pub(crate) fn parse(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if let Some((seconds, fraction)) = text.split_once('.')
        && let (Ok(seconds), true) =
            (seconds.parse::<i64>(), fraction.bytes().all(|byte| byte.is_ascii_digit()))
    {
        let nanoseconds = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
        return Timestamp::new(seconds, nanoseconds).ok();
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return Timestamp::from_second(seconds).ok();
    }
    if let Ok(time) = text.parse::<civil::DateTime>() {
        return time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    }
    now.checked_sub(ago(text)?).ok()
}

/// Go's notation of a duration.
pub(crate) fn ago(text: &str) -> Option<SignedDuration> {
    let mut rest = text;
    let mut total = SignedDuration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|character: char| character.is_ascii_digit()).unwrap_or(rest.len());
        let seconds = match &rest[..unit] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(SignedDuration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = &rest[unit..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_in_many_forms() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let parsed = |text| parse(text, now).map(|time| time.to_string());
        assert_eq!(parsed("1700000000.5").as_deref(), Some("2023-11-14T22:13:20.5Z"));
        assert_eq!(parsed("1700000000").as_deref(), Some("2023-11-14T22:13:20Z"));
        assert_eq!(parsed("2023-11-14T22:13:20+01:00").as_deref(), Some("2023-11-14T21:13:20Z"));
        assert_eq!(parsed("2023-11-14").as_deref(), Some("2023-11-14T00:00:00Z"));
        assert_eq!(parsed("1h30m").as_deref(), Some("2023-11-14T20:43:20Z"));
        for bad in ["", "x", "10", "h", "1w"] {
            assert!(bad == "10" || parsed(bad).is_none(), "{bad}");
        }
    }
}

//! Times as Google writes them.

use std::time::Duration;

use jiff::Timestamp;

/// Now.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// `2026-11-22T16:00:00.123456Z`, the form of Cloud Run's resources.
pub fn micros(time: Timestamp) -> String {
    format!("{time:.6}")
}

/// With milliseconds, the form of Cloud Storage's resources.
pub fn millis(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// With nanoseconds, the form of log entries.
pub fn nanos(time: Timestamp) -> String {
    format!("{time:.9}")
}

/// Nanoseconds since 1970, where 64 bits hold them (1677 to 2262); the nearest of these otherwise.
pub fn to_nanos(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(if time.as_second() < 0 { i64::MIN } else { i64::MAX })
}

/// The time of [`to_nanos`].
pub fn from_nanos(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A protobuf duration in JSON: `600s`, `1.5s`. None for anything else.
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.strip_suffix('s')?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse().ok()?;
    Some(Duration::new(whole.parse().ok()?, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_protobuf_writes_them() {
        assert_eq!(duration("600s"), Some(Duration::from_secs(600)));
        assert_eq!(duration("1.5s"), Some(Duration::from_millis(1_500)));
        for wrong in ["600", "s", "-1s", "1.s5", "1m", "1.0000000000s"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_time_survives_the_way_through_nanoseconds() {
        let time = now();
        assert_eq!(from_nanos(to_nanos(time)), time);
    }
}

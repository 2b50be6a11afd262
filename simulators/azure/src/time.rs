//! Times as Azure writes them.

use jiff::Timestamp;

/// Now.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// `2026-11-22T16:00:00.1234567Z`, the form of resources and log rows.
pub fn text(time: Timestamp) -> String {
    // Ticks of 100 ns.
    format!("{time:.7}")
}

/// `2026-11-22T16:00:00Z`, the form of executions.
pub fn seconds(time: Timestamp) -> String {
    format!("{time:.0}")
}

/// Nanoseconds since 1970, where 64 bits hold them (1677 to 2262); the nearest of these otherwise.
pub fn to_nanos(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(if time.as_second() < 0 { i64::MIN } else { i64::MAX })
}

/// The time of [`to_nanos`].
pub fn from_nanos(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// `Sun, 22 Nov 2026 16:00:00 GMT`, the form of headers.
pub fn http(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

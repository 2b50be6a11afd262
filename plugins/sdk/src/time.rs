//! Times as APIs write them, in milliseconds since 1970-01-01T00:00:00Z.

const DAY_MS: u64 = 86_400_000;

/// Reads an RFC 3339 time (`2026-01-02T03:04:05.678901Z`, any offset). What is finer than a
/// millisecond is cut off. None for anything else and for times before 1970.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let (date, rest) = text.split_at_checked(10)?;
    let mut parts = date.split('-');
    let days =
        days_from_civil(number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?)?;
    if parts.next().is_some() {
        return None;
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let zone = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let time = clock_ms(clock)? + fraction_ms(fraction)?;
    let local = i64::try_from(days * DAY_MS + time).ok()?;
    u64::try_from(local - offset_ms(zone)?).ok()
}

/// Writes an RFC 3339 time in UTC with milliseconds.
pub fn format_rfc3339(ms: u64) -> String {
    let (year, month, day) = civil_from_days(ms / DAY_MS);
    let time = ms % DAY_MS;
    let (hour, minute, second) = (time / 3_600_000, time / 60_000 % 60, time / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", time % 1000)
}

/// Reads the date of an HTTP header, `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn parse_http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let day = number(parts.next()?, 2)?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year = number(parts.next()?, 4)?;
    let time = clock_ms(parts.next()?)?;
    (parts.next() == Some("GMT")).then_some(days_from_civil(year, month, day)? * DAY_MS + time)
}

/// Reads a `Retry-After` header, seconds or a date, as milliseconds from `now` on.
pub fn parse_retry_after(text: &str, now: u64) -> Option<u64> {
    let text = text.trim();
    match text.parse::<u64>() {
        Ok(seconds) => seconds.checked_mul(1000),
        Err(_) => parse_http_date(text).map(|at| at.saturating_sub(now)),
    }
}

/// Reads a duration as Google's JSON writes it, `1.5s`, in milliseconds.
pub fn parse_seconds(text: &str) -> Option<u64> {
    let text = text.strip_suffix('s')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(fraction_ms(fraction)?)
}

fn number(text: &str, digits: usize) -> Option<u64> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn clock_ms(text: &str) -> Option<u64> {
    let mut parts = text.split(':');
    let (hour, minute, second) =
        (number(parts.next()?, 2)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    // 60 is a leap second.
    let good = hour < 24 && minute < 60 && second <= 60 && parts.next().is_none();
    good.then_some(((hour * 60 + minute) * 60 + second) * 1000)
}

fn fraction_ms(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(digits.bytes().chain(*b"000").take(3).fold(0, |ms, digit| ms * 10 + u64::from(digit - b'0')))
}

fn offset_ms(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, clock) = zone.split_at_checked(1)?;
    let ms = i64::try_from(clock_ms(&format!("{clock}:00"))?).ok()?;
    Some(if sign == "-" { -ms } else { ms })
}

/// Days since 1970 of a date in the Gregorian calendar, counted in eras of 400 years that
/// begin on 1 March, so that the leap day stands at the end.
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
        return None;
    }
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, in_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = in_era * 365 + in_era / 4 - in_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

fn days_in(year: u64, month: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let in_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * in_era + in_era / 4 - in_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + in_era + u64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc3339_with_nanoseconds_and_offsets() {
        assert_eq!(parse_rfc3339("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_rfc3339("2024-02-29T12:00:00.123456789Z"), Some(1_709_208_000_123));
        assert_eq!(parse_rfc3339("2024-02-29T14:00:00.1+02:00"), Some(1_709_208_000_100));
        for bad in [
            "",
            "2023-02-29T00:00:00Z",
            "2024-01-01",
            "2024-01-01T25:00:00Z",
            "1969-12-31T23:59:59Z",
            "2024-01-01T00:00:00",
        ] {
            assert_eq!(parse_rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(parse_retry_after("3", 0), Some(3000));
        let at = parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(at, 784_111_777_000);
        assert_eq!(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", at - 1500), Some(1500));
        assert_eq!(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", at + 1500), Some(0));
        assert_eq!(parse_retry_after("soon", 0), None);
    }

    #[test]
    fn a_duration_may_have_a_fraction() {
        assert_eq!(parse_seconds("1.5s"), Some(1500));
        assert_eq!(parse_seconds("0.000001s"), Some(0));
        assert_eq!(parse_seconds("90"), None);
    }

    proptest! {
        #[test]
        fn a_time_survives_being_written_and_read(ms in 0u64..253_402_300_800_000) {
            prop_assert_eq!(parse_rfc3339(&format_rfc3339(ms)), Some(ms));
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in ".*") {
            let _ = (parse_rfc3339(&text), parse_http_date(&text), parse_retry_after(&text, 0), parse_seconds(&text));
        }
    }
}

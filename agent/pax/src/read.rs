//! Reading.

/// A header's number: octal digits among blanks, none for zero, or binary where the first bit is set. None: it is no number, or too
/// large.
#[must_use]
pub fn number(field: &[u8]) -> Option<i64> {
    let Some(first) = field.first().filter(|first| *first & 0x80 != 0) else {
        let digits = field.split(|byte| *byte == 0).map(<[u8]>::trim_ascii).find(|part| !part.is_empty());
        return i64::from_str_radix(std::str::from_utf8(digits.unwrap_or(b"0")).ok()?, 8).ok();
    };
    // The second bit is the sign.
    let start = if first & 0x40 == 0 { i64::from(first & 0x3f) } else { -1 };
    field[1..].iter().try_fold(start, |sum, byte| sum.checked_mul(256)?.checked_add(i64::from(*byte)))
}

/// The same where nothing below zero makes sense.
#[must_use]
pub fn unsigned(field: &[u8]) -> Option<u64> {
    u64::try_from(number(field)?).ok()
}

/// A long name as GNU's tar writes it: with a zero at its end.
#[must_use]
pub fn text(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

/// A key and its value.
pub type Record = (Vec<u8>, Vec<u8>);

/// The records of an extended header: `LENGTH KEY=VALUE\n`. None: they are not well-formed.
#[must_use]
pub fn records(mut bytes: &[u8]) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
        let (record, rest) = bytes.split_at_checked(length)?;
        let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        records.push((record[..equals].to_owned(), record[equals + 1..].to_owned()));
        bytes = rest;
    }
    Some(records)
}

/// A record's time, a decimal fraction: seconds since 1970, and nanoseconds in addition. None: it is no number.
#[must_use]
pub fn seconds(value: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds: u32 = format!("{:0<9}", fraction.get(..fraction.len().min(9))?).parse().ok()?;
    match (whole.starts_with('-'), nanoseconds) {
        (true, 1..) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds)),
        _ => Some((seconds, nanoseconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_binary_and_may_be_missing() {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(1 << 40);
        assert_eq!(number(&header.as_bytes()[136..148]), Some(1 << 40));
        for (field, expected) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b" 0644 \0\0", Some(0o644)),
            (b"\0\0\0\0", Some(0)),
            (b"12\x0034", Some(0o12)),
            (b"89", None),
            (b"0x1\0", None),
            (&[0x80, 0, 0, 0, 0, 0, 1, 0], Some(256)),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe], Some(-2)),
            (&[0xff; 12], Some(-1)),
            (&[0x8f; 12], None),
            (&[0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], None),
        ] {
            assert_eq!(number(field), expected, "{field:?}");
        }
        assert_eq!((unsigned(&[0xff; 12]), unsigned(b"7")), (None, Some(7)));
    }

    #[test]
    fn times_have_fractions_and_signs() {
        for (text, expected) in [
            ("12", Some((12, 0))),
            ("12.5", Some((12, 500_000_000))),
            ("-1.25", Some((-2, 750_000_000))),
            ("-0.5", Some((-1, 500_000_000))),
            ("1.0000000019", Some((1, 1))),
            ("1.x", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(seconds(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_record_is_not_read() {
        for bytes in [&b"9"[..], b"x path=a\n", b"99 path=a\n", b"9 path=ab", b"7 path\n", b"0 a=b\n"] {
            assert_eq!(records(bytes), None, "{bytes:?}");
        }
        assert_eq!(text(b"name\0rest".to_vec()), b"name");
    }
}

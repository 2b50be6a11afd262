//! What stands in the headers of a tar archive.

use sockerless_agent_wire::request::{Fault, FaultKind};
use tar::Header;

use super::header::{ATTRIBUTE, Member};
use crate::work::fault::fault;

/// A header's number: octal digits among blanks, none for zero, or binary where the first bit is set.
pub fn number(field: &[u8]) -> Result<i64, Fault> {
    let Some(first) = field.first().filter(|first| *first & 0x80 != 0) else {
        let text =
            field.split(|byte| *byte == 0).find(|part| !part.trim_ascii().is_empty()).unwrap_or_default();
        let text = std::str::from_utf8(text.trim_ascii()).map_err(|_| invalid())?;
        return if text.is_empty() { Ok(0) } else { i64::from_str_radix(text, 8).map_err(|_| invalid()) };
    };
    // The second bit is the sign.
    let is_negative = first & 0x40 != 0;
    let start = if is_negative { -1 } else { i64::from(first & 0x3f) };
    field[1..].iter().try_fold(start, |sum, byte| {
        sum.checked_mul(256).and_then(|sum| sum.checked_add(i64::from(*byte))).ok_or_else(invalid)
    })
}

/// How many bytes follow a header.
pub fn size(header: &Header) -> Result<u64, Fault> {
    u64::try_from(number(&header.as_bytes()[124..136])?).map_err(|_| invalid())
}

/// A long name as GNU's tar writes it: with a zero at its end.
pub fn text(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

/// A key and its value.
pub type Record = (Vec<u8>, Vec<u8>);

/// The records of an extended header: `LENGTH KEY=VALUE\n`.
pub fn records(mut bytes: &[u8]) -> Result<Vec<Record>, Fault> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (record, rest) = record(bytes).ok_or_else(invalid)?;
        records.push(record);
        bytes = rest;
    }
    Ok(records)
}

fn record(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some(((record[..equals].to_owned(), record[equals + 1..].to_owned()), rest))
}

/// Seconds since 1970 with a fraction.
fn time(value: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.get(..fraction.len().min(9))?;
    let nanoseconds = format!("{digits:0<9}").parse().ok()?;
    match (whole.starts_with('-'), nanoseconds) {
        (true, 1..) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds)),
        _ => Some((seconds, nanoseconds)),
    }
}

impl Member {
    /// Applies a record of an extended header.
    pub fn amend(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), Fault> {
        let number =
            || std::str::from_utf8(&value).ok().and_then(|text| text.parse::<u64>().ok()).ok_or_else(invalid);
        let id = || u32::try_from(number()?).map_err(|_| invalid());
        match key.as_slice() {
            b"path" => self.name = value,
            b"linkpath" => self.link = value,
            b"uid" => self.uid = id()?,
            b"gid" => self.gid = id()?,
            b"size" => self.size = number()?,
            b"mtime" => self.modified = time(&value).ok_or_else(invalid)?,
            b"atime" => self.accessed = Some(time(&value).ok_or_else(invalid)?),
            key if key.starts_with(b"GNU.sparse.") => {
                return Err(fault(FaultKind::Invalid, "sparse files in archives are not supported"));
            }
            key => {
                if let Some(name) = key.strip_prefix(ATTRIBUTE) {
                    self.attributes.push((name.to_owned(), value));
                }
            }
        }
        Ok(())
    }
}

/// What Go's reader says of a header that it cannot read.
pub fn invalid() -> Fault {
    fault(FaultKind::Invalid, "archive/tar: invalid tar header")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_binary() {
        let value = |field: &[u8]| number(field).ok();
        assert_eq!(value(b"0000644\0"), Some(0o644));
        assert_eq!(value(b"   644 \0"), Some(0o644));
        assert_eq!(value(b"\0\0\0\0"), Some(0));
        assert_eq!(value(b"12\x0034"), Some(0o12));
        assert_eq!(value(b"89"), None);
        assert_eq!(value(&[0x80, 0, 0, 0, 0, 0, 1, 0]), Some(256));
        assert_eq!(value(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]), Some(-2));
        assert_eq!(value(&[0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), None);
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
            ("", None),
        ] {
            assert_eq!(time(text.as_bytes()), expected, "{text}");
        }
    }
}

//! Writing.

use std::io::Write;

use tar::{EntryType, Header};

use crate::BLOCK;

/// Bytes of the field for a name.
const NAME: usize = 100;

/// Appends `LENGTH KEY=VALUE\n`, where the length counts itself.
pub fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    // Writing to memory cannot fail.
    let _ = write!(records, "{length} ");
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// Seconds since 1970, and nanoseconds in addition, as a decimal fraction; before 1970 the fraction counts backwards.
#[must_use]
pub fn fraction(seconds: i64, nanoseconds: u32) -> String {
    let (sign, seconds, nanoseconds) = match (seconds, nanoseconds) {
        (0.., _) => ("", seconds.unsigned_abs(), nanoseconds),
        (_, 0) => ("-", seconds.unsigned_abs(), 0),
        _ => ("-", seconds.unsigned_abs() - 1, 1_000_000_000 - nanoseconds),
    };
    if nanoseconds == 0 {
        return format!("{sign}{seconds}");
    }
    format!("{sign}{seconds}.{nanoseconds:09}").trim_end_matches('0').to_owned()
}

/// Appends the extended header with the records of the member `name`, which comes next; padded to whole blocks.
pub fn extend(name: &[u8], records: &[u8], out: &mut Vec<u8>) {
    let mut header = Header::new_ustar();
    let name = name.strip_suffix(b"/").unwrap_or(name);
    let last = name.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let shown = [b"PaxHeaders.0/", &name[last..]].concat();
    let cut = &shown[..shown.len().min(NAME)];
    header.as_mut_bytes()[..cut.len()].copy_from_slice(cut);
    header.set_entry_type(EntryType::XHeader);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(records.len() as u64);
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(records);
    // To the block's end, wherever in `out` it began.
    out.resize(out.len() + records.len().next_multiple_of(BLOCK) - records.len(), 0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{records, seconds};

    #[test]
    fn a_records_length_counts_itself() {
        for (value, length) in
            [(1, 9), (2, 11), (3, 12), (90, 99), (91, 101), (988, 998), (989, 999), (990, 1001)]
        {
            let mut records = Vec::new();
            record(&mut records, b"path", &vec![b'x'; value]);
            assert_eq!(records.len(), length);
            assert!(records.starts_with(format!("{length} path=x").as_bytes()));
        }
    }

    #[test]
    fn times_have_the_fraction_that_they_need() {
        for (time, expected) in [
            ((1, 0), "1"),
            ((1, 500_000_000), "1.5"),
            ((0, 1), "0.000000001"),
            ((-2, 0), "-2"),
            ((-2, 500_000_000), "-1.5"),
            ((-1, 900_000_000), "-0.1"),
        ] {
            assert_eq!(fraction(time.0, time.1), expected);
        }
    }

    #[test]
    fn an_extended_header_fills_whole_blocks_and_names_its_member() {
        for (length, blocks) in [(1, 2), (512, 2), (513, 3)] {
            let mut out = vec![1];
            extend(b"a/long/name/", &vec![b'r'; length], &mut out);
            assert_eq!(out.len() - 1, blocks * BLOCK, "{length}");
            assert!(out[1..].starts_with(b"PaxHeaders.0/name\0"));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            all in proptest::collection::vec(("[a-z.]{1,20}", proptest::collection::vec(any::<u8>(), 0..300)), 0..5),
            time in (-9_000_000_000i64..9_000_000_000, 0u32..1_000_000_000),
        ) {
            let mut bytes = Vec::new();
            let all: Vec<_> = all.into_iter().map(|(key, value)| (key.into_bytes(), value)).collect();
            all.iter().for_each(|(key, value)| record(&mut bytes, key, value));
            prop_assert_eq!(records(&bytes), Some(all));
            prop_assert_eq!(seconds(fraction(time.0, time.1).as_bytes()), Some(time));
        }
    }
}

//! DNS messages (RFC 1035, section 4), as far as answers of one question need them.

use std::net::Ipv4Addr;

use crate::tuning;

/// Kinds of records.
pub(super) const A: u16 = 1;
pub(super) const PTR: u16 = 12;
pub(super) const ANY: u16 = 255;
/// The internet's class.
const IN: u16 = 1;

const HEADER: usize = 12;
/// A name with all its lengths is no longer.
const NAME: usize = 255;
/// The two highest bits of a label's length mean something else.
const LABEL: usize = 63;

/// A query's one question.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question<'a> {
    /// In lower case, without the dot at the end.
    pub(super) name: String,
    kind: u16,
    /// Header and question as they came.
    bytes: &'a [u8],
}

/// How a question went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    Fine = 0,
    ServerFailure = 2,
    NoSuchName = 3,
}

/// What is told about the name in question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    kind: u16,
    data: Vec<u8>,
}

impl<'a> Question<'a> {
    /// A plain query of the internet's class with one question; `None` for all else.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let word = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        // A query (no answer), of the standard operation, with one question.
        if word(2)? & 0xf800 != 0 || word(4)? != 1 {
            return None;
        }
        let mut name = String::new();
        let mut at = HEADER;
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            let label = bytes.get(at..at + length).filter(|_| length <= LABEL && at < HEADER + NAME)?;
            // A dot within a label cannot be told from one between two.
            let label =
                std::str::from_utf8(label).ok().filter(|label| label.is_ascii() && !label.contains('.'))?;
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(&label.to_ascii_lowercase());
            at += length;
        }
        let (kind, class) = (word(at)?, word(at + 2)?);
        matches!(class, IN | ANY).then_some(Self { name, kind, bytes: &bytes[..at + 4] })
    }

    pub(super) fn is(&self, kinds: &[u16]) -> bool {
        kinds.contains(&self.kind)
    }

    /// The address that a reverse look-up is about.
    pub(super) fn reverse(&self) -> Option<Ipv4Addr> {
        let mut parts = self.name.strip_suffix(".in-addr.arpa")?.split('.').rev();
        let mut octet = || parts.next()?.parse().ok();
        let address = Ipv4Addr::new(octet()?, octet()?, octet()?, octet()?);
        parts.next().is_none().then_some(address)
    }

    pub(super) fn reply(&self, code: Code, records: &[Record]) -> Vec<u8> {
        let mut reply = self.bytes.to_vec();
        // An answer; "recursion desired" as asked, "recursion available".
        reply[2] = 0x80 | reply[2] & 0x01;
        reply[3] = 0x80 | code as u8;
        // There are never more than fit.
        let count = records.len().min(tuning::ADDRESSES) as u16;
        reply[6..8].copy_from_slice(&count.to_be_bytes());
        reply[8..HEADER].fill(0);
        for record in records.iter().take(tuning::ADDRESSES) {
            // The name in question, by its place.
            reply.extend([0xc0, HEADER as u8]);
            reply.extend(record.kind.to_be_bytes());
            reply.extend(IN.to_be_bytes());
            reply.extend(tuning::TTL.to_be_bytes());
            // Names are at most 255 bytes.
            reply.extend((record.data.len() as u16).to_be_bytes());
            reply.extend(&record.data);
        }
        reply
    }
}

impl Record {
    pub(super) fn address(address: Ipv4Addr) -> Self {
        Self { kind: A, data: address.octets().to_vec() }
    }

    /// `None` for what cannot be written as a name.
    pub(super) fn name(name: &str) -> Option<Self> {
        let mut data = Vec::with_capacity(name.len() + 2);
        for label in name.split('.') {
            let length =
                u8::try_from(label.len()).ok().filter(|len| (1..=LABEL).contains(&usize::from(*len)))?;
            data.push(length);
            data.extend(label.as_bytes());
        }
        data.push(0);
        (data.len() <= NAME).then_some(Self { kind: PTR, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut bytes = vec![0xab, 0xcd, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 1];
        for label in name.split('.') {
            bytes.push(label.len() as u8);
            bytes.extend(label.as_bytes());
        }
        bytes.push(0);
        bytes.extend(kind.to_be_bytes());
        bytes.extend(IN.to_be_bytes());
        // An OPT record, which is not answered.
        bytes.extend([0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn a_reply_repeats_the_question_and_tells_the_records() {
        let query = query("Postgres.Example", A);
        let question = Question::parse(&query).expect("a question");
        assert_eq!(question.name, "postgres.example");
        assert!(question.is(&[A]));
        let reply = question.reply(Code::Fine, &[Record::address([172, 18, 0, 3].into())]);
        assert_eq!(&reply[..12], [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(&reply[12..34], &query[12..34]);
        assert_eq!(&reply[34..], [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 10, 0, 4, 172, 18, 0, 3]);
    }

    #[test]
    fn a_reverse_question_is_about_an_address() {
        let reverse = |name: &str| Question::parse(&query(name, PTR)).expect("a question").reverse();
        assert_eq!(reverse("3.0.18.172.in-addr.arpa"), Some([172, 18, 0, 3].into()));
        assert_eq!(reverse("0.18.172.in-addr.arpa"), None);
        assert_eq!(reverse("1.3.0.18.172.in-addr.arpa"), None);
        assert_eq!(reverse("256.0.18.172.in-addr.arpa"), None);
        assert_eq!(reverse("postgres"), None);
    }

    #[test]
    fn names_that_cannot_be_written_are_not() {
        assert_eq!(Record::name(&"a".repeat(64)), None);
        assert_eq!(Record::name("a..b"), None);
        assert_eq!(Record::name(&["abc"; 70].join(".")), None);
        assert_eq!(Record::name("web.net").map(|record| record.data), Some(b"\x03web\x03net\0".to_vec()));
    }

    #[test]
    fn the_most_addresses_fit_into_what_every_resolver_takes() {
        let query = query(&["abcdefghij"; 6].join("."), A);
        let question = Question::parse(&query).expect("a question");
        let records = vec![Record::address(Ipv4Addr::LOCALHOST); 99];
        assert!(question.reply(Code::Fine, &records).len() <= 512);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_a_fault(bytes: Vec<u8>, whole: bool) {
            let mut bytes = bytes;
            if whole && bytes.len() >= HEADER {
                bytes[..HEADER].copy_from_slice(&[0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
            }
            if let Some(question) = Question::parse(&bytes) {
                prop_assert!(question.name.len() < NAME + LABEL);
                prop_assert!(question.reply(Code::NoSuchName, &[]).len() >= HEADER + 5);
            }
        }
    }
}

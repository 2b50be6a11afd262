//! DNS messages (RFC 1035, section 4): the little that an authoritative server reads and writes.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Types of records.
pub mod kind {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const ANY: u16 = 255;
}

/// How an answer turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    NoError = 0,
    Malformed = 1,
    NoName = 3,
    NotImplemented = 4,
    Refused = 5,
}

/// A question, with what its answer has to repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub id: u16,
    /// The recursion-desired bit.
    pub recursion: bool,
    /// In lower case, with its final dot.
    pub name: String,
    pub kind: u16,
    /// The question's bytes: the case of its letters is given back.
    raw: Vec<u8>,
}

/// What a message is.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    Question(Question),
    /// Answered with a code alone; the message's id.
    Refused(u16, Code),
    /// Not answered: an answer itself, or too short to have an id.
    Noise,
}

/// Data of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    /// NS and CNAME: the type, and the name.
    Name(u16, String),
    /// Two names and five numbers.
    Soa(String, String, [u32; 5]),
    Txt(Vec<Vec<u8>>),
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub name: String,
    pub ttl: u32,
    pub data: Data,
}

/// An answer, without its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub code: Code,
    /// This server has the zone.
    pub authoritative: bool,
    pub answers: Vec<Record>,
    pub authority: Vec<Record>,
}

const HEAD: usize = 12;
/// Class IN, and the class of any.
const CLASSES: [u16; 2] = [1, 255];

/// Reads a message.
pub fn read(bytes: &[u8]) -> Message {
    let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let (Some(id), Some(flags), Some(questions), true) = (word(0), word(2), word(4), bytes.len() >= HEAD)
    else {
        return Message::Noise;
    };
    if flags & 0x8000 != 0 {
        return Message::Noise;
    }
    if flags >> 11 & 0xf != 0 {
        return Message::Refused(id, Code::NotImplemented);
    }
    let malformed = Message::Refused(id, Code::Malformed);
    if questions != 1 {
        return malformed;
    }
    let Some((name, end)) = name(bytes, HEAD) else { return malformed };
    match (word(end), word(end + 2)) {
        (Some(kind), Some(class)) if CLASSES.contains(&class) => Message::Question(Question {
            id,
            recursion: flags & 0x0100 != 0,
            name,
            kind,
            raw: bytes[HEAD..end + 4].to_vec(),
        }),
        (Some(_), Some(_)) => Message::Refused(id, Code::NotImplemented),
        _ => malformed,
    }
}

/// A name without pointers (a question has none), and where it ends. Bytes that no host name has are written as RFC 4343
/// writes them, so that they never match one.
fn name(bytes: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut text = String::new();
    let start = at;
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        if length > 63 || at + length - start > 254 {
            return None;
        }
        for byte in bytes.get(at..at + length)? {
            match byte.to_ascii_lowercase() {
                plain if plain.is_ascii_alphanumeric() || b"-_*".contains(&plain) => {
                    text.push(char::from(plain))
                }
                other => text.push_str(&format!("\\{other:03}")),
            }
        }
        text.push('.');
        at += length;
    }
    if text.is_empty() {
        text.push('.');
    }
    Some((text, at))
}

/// Writes an answer of at most `most` bytes; a longer one is cut, and says so: the client comes again by TCP.
pub fn write(question: &Question, answer: &Answer, most: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut flags = 0x8000 | answer.code as u16;
    if answer.authoritative {
        flags |= 0x0400;
    }
    if question.recursion {
        flags |= 0x0100;
    }
    let words = [question.id, flags, 1, 0, 0, 0];
    out.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    out.extend(&question.raw);
    let mut counts = [0_u16; 2];
    for (count, records) in counts.iter_mut().zip([&answer.answers, &answer.authority]) {
        for record in records {
            let before = out.len();
            record.write(&mut out);
            if out.len() > most {
                out.truncate(before);
                out[2] |= 0x02;
                break;
            }
            *count += 1;
        }
    }
    out[6..8].copy_from_slice(&counts[0].to_be_bytes());
    out[8..10].copy_from_slice(&counts[1].to_be_bytes());
    out
}

/// An answer that is a code alone.
pub fn refusal(id: u16, code: Code) -> Vec<u8> {
    let words = [id, 0x8000 | code as u16, 0, 0, 0, 0];
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

impl Record {
    fn write(&self, out: &mut Vec<u8>) {
        put_name(out, &self.name);
        let mut data = Vec::new();
        let kind = match &self.data {
            Data::A(address) => {
                data.extend(address.octets());
                kind::A
            }
            Data::Aaaa(address) => {
                data.extend(address.octets());
                kind::AAAA
            }
            Data::Name(kind, name) => {
                put_name(&mut data, name);
                *kind
            }
            Data::Soa(server, mailbox, numbers) => {
                put_name(&mut data, server);
                put_name(&mut data, mailbox);
                data.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
                kind::SOA
            }
            Data::Txt(texts) => {
                for text in texts {
                    data.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
                    data.extend(text.iter().take(usize::from(u8::MAX)));
                }
                kind::TXT
            }
        };
        out.extend(kind.to_be_bytes());
        out.extend(1_u16.to_be_bytes());
        out.extend(self.ttl.to_be_bytes());
        // The API takes no record that comes near 64 KiB.
        out.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(data);
    }
}

/// Writes a name that the API has checked: labels of at most 63 bytes.
fn put_name(out: &mut Vec<u8>, name: &str) {
    for label in name.trim_end_matches('.').split('.').filter(|label| !label.is_empty()) {
        out.push(u8::try_from(label.len()).unwrap_or(0));
        out.extend(label.as_bytes());
    }
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `WwW.ab.` type A, recursion desired.
    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03WwW\x02ab\x00\x00\x01\x00\x01";

    fn question() -> Question {
        match read(QUERY) {
            Message::Question(question) => question,
            other => panic!("{other:?}"),
        }
    }

    fn record(last: u8) -> Record {
        Record { name: "www.ab.".into(), ttl: 10, data: Data::A(Ipv4Addr::new(10, 0, 0, last)) }
    }

    fn answer(answers: Vec<Record>) -> Answer {
        Answer { code: Code::NoError, authoritative: true, answers, authority: vec![] }
    }

    #[test]
    fn a_question_is_read_and_repeated_in_its_own_letters() {
        let question = question();
        assert_eq!((question.name.as_str(), question.kind, question.id), ("www.ab.", kind::A, 0x1234));
        let bytes = write(&question, &answer(vec![record(1)]), 512);
        assert_eq!(
            bytes,
            b"\x12\x34\x85\x00\x00\x01\x00\x01\x00\x00\x00\x00\x03WwW\x02ab\x00\x00\x01\x00\x01\
              \x03www\x02ab\x00\x00\x01\x00\x01\x00\x00\x00\x0a\x00\x04\x0a\x00\x00\x01"
        );
    }

    #[test]
    fn what_does_not_fit_is_cut_and_says_so() {
        let bytes = write(&question(), &answer((0..40).map(record).collect()), 512);
        assert!(bytes.len() <= 512);
        assert_eq!(bytes[2] & 0x02, 0x02);
        assert_eq!(u16::from_be_bytes([bytes[6], bytes[7]]), 22);
        let whole = write(&question(), &answer((0..40).map(record).collect()), usize::from(u16::MAX));
        assert_eq!((whole[2] & 0x02, whole[7]), (0, 40));
    }

    proptest::proptest! {
        #[test]
        fn no_message_is_too_odd_to_be_read(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80), question in proptest::bool::ANY) {
            let mut message = bytes;
            if question && message.len() >= HEAD {
                message[..HEAD].copy_from_slice(&QUERY[..HEAD]);
            }
            if let Message::Question(question) = read(&message) {
                let bytes = write(&question, &answer(vec![record(1)]), 512);
                proptest::prop_assert_eq!(read(&bytes), Message::Noise);
            }
        }
    }

    #[test]
    fn noise_is_not_answered_and_what_is_no_query_is_refused() {
        assert_eq!(read(b"\x12"), Message::Noise);
        let mut other = QUERY.to_vec();
        other[2] |= 0x80;
        assert_eq!(read(&other), Message::Noise);
        other[2] = 0x28;
        assert_eq!(read(&other), Message::Refused(0x1234, Code::NotImplemented));
        assert_eq!(read(&QUERY[..QUERY.len() - 1]), Message::Refused(0x1234, Code::Malformed));
        let pointer = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01";
        assert_eq!(read(pointer), Message::Refused(0x1234, Code::Malformed));
    }
}

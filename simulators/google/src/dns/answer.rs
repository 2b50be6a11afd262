//! What the name server answers (RFC 1034, section 4.3.2), as a function of the zones.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::rrset::{RecordSet, is_within};
use super::store::Zone;
use super::wire::{Answer, Code, Data, Question, Record, kind};
use super::zones::networks_of;

/// Names that point to names, at most.
const CHAIN: usize = 8;

/// A zone as the name server has it.
#[derive(Debug)]
pub struct Served {
    id: i64,
    dns_name: String,
    /// By name.
    sets: BTreeMap<String, Vec<Record>>,
}

impl Served {
    /// None for a private zone that no network sees.
    pub fn of(zone: &Zone, sets: &[RecordSet]) -> Option<Self> {
        if zone.doc["visibility"] == "private" && networks_of(&zone.doc).next().is_none() {
            return None;
        }
        let mut by_name: BTreeMap<String, Vec<Record>> = BTreeMap::new();
        for set in sets {
            let records = set.data.iter().filter_map(|text| {
                Some(Record { name: set.name.clone(), ttl: set.ttl, data: data(&set.kind, text)? })
            });
            by_name.entry(set.name.clone()).or_default().extend(records);
        }
        Some(Self { id: zone.id, dns_name: zone.dns_name.clone(), sets: by_name })
    }

    /// The zone's id.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The records at a name, or those of the wildcard that stands for it.
    fn at(&self, name: &str) -> Option<&[Record]> {
        if let Some(records) = self.sets.get(name) {
            return Some(records);
        }
        if self.has_below(name) {
            return None;
        }
        // The nearest wildcard, unless a name that exists lies between.
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.') {
            if !is_within(parent, &self.dns_name) {
                return None;
            }
            if let Some(records) = self.sets.get(&format!("*.{parent}")) {
                return Some(records);
            }
            if self.sets.contains_key(parent) || self.has_below(parent) {
                return None;
            }
            rest = parent;
        }
        None
    }

    /// Whether a name has names below it, and so exists without records.
    fn has_below(&self, name: &str) -> bool {
        let below = format!(".{name}");
        self.sets.keys().any(|other| other.ends_with(&below))
    }

    fn soa(&self) -> Option<Record> {
        let apex = self.sets.get(&self.dns_name)?;
        let mut soa = apex.iter().find(|record| matches!(record.data, Data::Soa(..)))?.clone();
        // How long it may be remembered that a name is not there (RFC 2308, section 5).
        if let Data::Soa(_, _, numbers) = &soa.data {
            soa.ttl = soa.ttl.min(numbers[4]);
        }
        Some(soa)
    }
}

/// Answers from the zone with the longest matching name; refuses what is in none.
pub fn answer(zones: &[Arc<Served>], question: &Question) -> Answer {
    let within = zones.iter().filter(|zone| is_within(&question.name, &zone.dns_name));
    // Networks may each see a zone of one name; the first made is the one that this server shows.
    let Some(zone) = within.rev().max_by_key(|zone| zone.dns_name.len()) else {
        return Answer { code: Code::Refused, authoritative: false, answers: vec![], authority: vec![] };
    };
    let mut answers = Vec::new();
    let mut name = question.name.clone();
    let mut found = false;
    for _ in 0..CHAIN {
        let Some(records) = zone.at(&name) else { break };
        found = true;
        let named = |record: &Record| Record { name: name.clone(), ..record.clone() };
        let wanted = |record: &&Record| question.kind == kind::ANY || question.kind == record.kind();
        let before = answers.len();
        answers.extend(records.iter().filter(wanted).map(named));
        if answers.len() > before {
            break;
        }
        let Some(alias) = records.iter().find(|record| record.kind() == kind::CNAME) else { break };
        answers.push(named(alias));
        let Data::Name(_, target) = &alias.data else { break };
        name = target.clone();
        if !is_within(&name, &zone.dns_name) {
            break;
        }
    }
    let exists = found || zone.has_below(&question.name);
    let code = if exists { Code::NoError } else { Code::NoName };
    let authority = if answers.is_empty() { zone.soa().into_iter().collect() } else { vec![] };
    Answer { code, authoritative: true, answers, authority }
}

impl Record {
    fn kind(&self) -> u16 {
        match &self.data {
            Data::A(_) => kind::A,
            Data::Aaaa(_) => kind::AAAA,
            Data::Name(kind, _) => *kind,
            Data::Soa(..) => kind::SOA,
            Data::Txt(_) => kind::TXT,
        }
    }
}

/// A record's data from its text, which the API has checked.
fn data(of: &str, text: &str) -> Option<Data> {
    Some(match of {
        "A" => Data::A(text.parse().ok()?),
        "AAAA" => Data::Aaaa(text.parse().ok()?),
        "NS" => Data::Name(kind::NS, text.to_owned()),
        "CNAME" => Data::Name(kind::CNAME, text.to_owned()),
        "SOA" => {
            let mut parts = text.split(' ');
            let (server, mailbox) = (parts.next()?.to_owned(), parts.next()?.to_owned());
            let mut numbers = [0; 5];
            for number in &mut numbers {
                *number = parts.next()?.parse().ok()?;
            }
            Data::Soa(server, mailbox, numbers)
        }
        "TXT" => Data::Txt(texts(text)),
        _ => return None,
    })
}

/// The strings of a TXT record: in quotes, or words; each of at most 255 bytes on the wire.
fn texts(text: &str) -> Vec<Vec<u8>> {
    let mut strings: Vec<Vec<u8>> = Vec::new();
    let (mut current, mut quoted, mut escaped) = (None::<Vec<u8>>, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => {
                current.get_or_insert_default().push(byte);
                escaped = false;
            }
            b'\\' => escaped = true,
            b'"' => {
                quoted = !quoted;
                current.get_or_insert_default();
            }
            b' ' if !quoted => strings.extend(current.take()),
            _ => current.get_or_insert_default().push(byte),
        }
    }
    strings.extend(current);
    let cut = |text: Vec<u8>| match text.len() {
        0 => vec![text],
        _ => text.chunks(255).map(<[u8]>::to_vec).collect(),
    };
    strings.into_iter().flat_map(cut).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dns::wire::{Message, read};

    fn ask(name: &str, kind: u16) -> Question {
        let mut bytes = b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
        for label in name.trim_end_matches('.').split('.') {
            bytes.push(label.len() as u8);
            bytes.extend(label.as_bytes());
        }
        bytes.push(0);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1]);
        match read(&bytes) {
            Message::Question(question) => question,
            other => panic!("{other:?}"),
        }
    }

    fn zone() -> Vec<Arc<Served>> {
        let zone = Zone {
            project: "p".into(),
            name: "z".into(),
            id: 1,
            dns_name: "ab.internal.".into(),
            doc: json!({"visibility": "public"}),
        };
        let set = |name: &str, kind: &str, data: &str| RecordSet {
            name: format!("{name}ab.internal."),
            kind: kind.into(),
            ttl: 10,
            data: vec![data.into()],
        };
        let sets = [
            set("", "SOA", "ns. host. 1 2 3 4 5"),
            set("", "NS", "ns."),
            set("db.", "A", "172.18.0.2"),
            set("alias.", "CNAME", "db.ab.internal."),
            set("a.deep.", "TXT", "\"one two\" three"),
            set("*.wild.", "A", "172.18.0.9"),
        ];
        vec![Arc::new(Served::of(&zone, &sets).unwrap())]
    }

    fn outcome(name: &str, kind: u16) -> (Code, usize, usize) {
        let answer = answer(&zone(), &ask(name, kind));
        (answer.code, answer.answers.len(), answer.authority.len())
    }

    #[test]
    fn names_that_are_there_are_answered_with_their_ttl() {
        let answer = answer(&zone(), &ask("DB.ab.internal.", kind::A));
        assert!(answer.authoritative);
        assert_eq!((answer.answers[0].ttl, &answer.answers[0].data), (10, &Data::A([172, 18, 0, 2].into())));
        assert_eq!(outcome("alias.ab.internal.", kind::A), (Code::NoError, 2, 0));
        assert_eq!(outcome("x.wild.ab.internal.", kind::A), (Code::NoError, 1, 0));
    }

    #[test]
    fn no_such_name_no_such_type_and_no_such_zone_differ() {
        assert_eq!(outcome("no.ab.internal.", kind::A), (Code::NoName, 0, 1));
        assert_eq!(outcome("db.ab.internal.", kind::AAAA), (Code::NoError, 0, 1));
        assert_eq!(outcome("deep.ab.internal.", kind::A), (Code::NoError, 0, 1));
        assert_eq!(outcome("example.com.", kind::A), (Code::Refused, 0, 0));
        let none = answer(&zone(), &ask("no.ab.internal.", kind::A));
        assert_eq!(none.authority[0].ttl, 5, "remembered for the zone's negative time");
    }

    #[test]
    fn texts_are_taken_apart() {
        assert_eq!(texts("\"one two\" three"), [b"one two".to_vec(), b"three".to_vec()]);
        assert_eq!(
            texts(&format!("\"{}\"", "x".repeat(300))).iter().map(Vec::len).collect::<Vec<_>>(),
            [255, 45]
        );
    }
}

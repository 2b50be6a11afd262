//! Names and tags: how a job is found again and recognised.
//!
//! A tag's value has 256 characters: what is longer, the labels as a whole, is cut into several.

use std::{collections::BTreeMap, fmt::Write as _};

use sockerless_plugin_sdk::{Label, jobs::Spec};

use crate::limits;

/// Marks all that Sockerless makes.
pub const MANAGED_BY: (&str, &str) = ("managed-by", "sockerless");
/// The tag with the daemon that a job belongs to.
pub const OWNER: &str = "sockerless-owner";
/// The tag with the time, in seconds since 1970, after which a reaper may delete it.
pub const EXPIRES: &str = "sockerless-expires";
/// The tag with a hash of the spec, by which a repeated `create` is recognised.
pub const SPEC: &str = "sockerless-spec";
/// The tag with the workload's whole name.
pub const WORKLOAD: &str = "sockerless-workload";
/// How the tags begin that hold all labels, as JSON in pieces.
const ALL_LABELS: &str = "sockerless-labels-";

/// How names of what Sockerless makes begin.
const PREFIX: &str = "sl";

/// The name of a workload's job or app: its own where Azure takes it, else one that is short, and unique by a hash.
pub fn job(workload: &str) -> String {
    if is_job(workload) { workload.to_owned() } else { shortened(workload, limits::NAME_CHARS, "") }
}

/// `sl-BEGINNING-HASH`, of at most so many characters of a-z, 0-9 and single hyphens. The salt keeps equal names of
/// different things apart.
pub fn shortened(name: &str, longest: usize, salt: &str) -> String {
    let hash = format!("{:032x}", hash(format!("{salt}\0{name}").as_bytes()));
    let hash = &hash[..limits::HASH_DIGITS];
    let room = longest.saturating_sub(PREFIX.len() + limits::HASH_DIGITS + 2);
    let mut short = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        let fits = c.is_ascii_lowercase() || c.is_ascii_digit();
        if short.len() == room {
            break;
        }
        if fits {
            short.push(c);
        } else if !short.is_empty() && !short.ends_with('-') {
            short.push('-');
        }
    }
    match short.trim_end_matches('-') {
        "" => format!("{PREFIX}-{hash}"),
        short => format!("{PREFIX}-{short}-{hash}"),
    }
}

/// The tags of the resources of a workload.
pub fn tags(spec: &Spec) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::from([
        (MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned()),
        (OWNER.to_owned(), spec.owner.clone()),
        (SPEC.to_owned(), fingerprint(spec)),
        (WORKLOAD.to_owned(), spec.name.clone()),
    ]);
    if let Some(at) = spec.expires {
        tags.insert(EXPIRES.to_owned(), (at / 1000).to_string());
    }
    for (number, piece) in pieces(&spec.labels).into_iter().enumerate() {
        tags.insert(format!("{ALL_LABELS}{number:02}"), piece);
    }
    // Those that can be seen, and counted by in the bill.
    for (key, value) in &spec.labels {
        let room = tags.len() < limits::TAGS_MAX - limits::TAGS_FREE;
        let known = tags.keys().any(|known| known.eq_ignore_ascii_case(key));
        if room && !known && key.starts_with("sockerless-") && fits(key, value) {
            tags.insert(key.clone(), value.clone());
        }
    }
    tags
}

/// The labels of the spec, from a job's tags.
pub fn spec_labels(tags: &BTreeMap<String, String>) -> Vec<Label> {
    let all: String = tags
        .iter()
        .filter(|(name, _)| name.starts_with(ALL_LABELS))
        .map(|(_, piece)| piece.as_str())
        .collect();
    serde_json::from_str(&all).unwrap_or_default()
}

/// Whether a job belongs to an owner.
pub fn is_owned(tags: &BTreeMap<String, String>, owner: &str) -> bool {
    let is = |key: &str, value: &str| tags.get(key).is_some_and(|found| found == value);
    is(MANAGED_BY.0, MANAGED_BY.1) && is(OWNER, owner)
}

/// All labels as JSON, in pieces that a tag holds; labels at the end that have no room are left out.
fn pieces(labels: &[Label]) -> Vec<String> {
    let most = (limits::TAGS_MAX - 2 * limits::TAGS_FREE) * limits::TAG_CHARS;
    let mut all = String::from("[");
    for label in labels {
        // A pair of strings is always JSON.
        let label = ascii(&serde_json::to_string(label).unwrap_or_default());
        let comma = if all.len() > 1 { "," } else { "" };
        // The bracket at the end has to fit too.
        if all.len() + comma.len() + label.len() + 1 > most {
            break;
        }
        all.push_str(comma);
        all.push_str(&label);
    }
    all.push(']');
    all.as_bytes()
        .chunks(limits::TAG_CHARS)
        .map(|piece| String::from_utf8_lossy(piece).into_owned())
        .collect()
}

/// Compact JSON with all but what ASCII shows escaped: spaces, too, which a service may cut off at the end of a piece.
pub fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii_graphic() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

/// A hash (128-bit FNV-1a) of what the spec asks for. The expiry is left out: it moves when the
/// same intent is carried out again later.
pub fn fingerprint(spec: &Spec) -> String {
    let spec = Spec { expires: None, ..spec.clone() };
    // A spec consists of strings, numbers and lists, which are always JSON.
    format!("{:032x}", hash(&serde_json::to_vec(&spec).unwrap_or_default()))
}

/// A hash of a text, to tell it from others.
pub fn digest(text: &str) -> String {
    format!("{:032x}", hash(text.as_bytes()))
}

fn hash(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = bytes.iter().fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME));
    // The last bytes have moved only the low digits: spread them, since names take the high ones.
    (hash ^ (hash >> 67)).wrapping_mul((PRIME ^ BASIS) | 1)
}

/// Whether a name is one that the contract allows.
pub fn is_workload(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=limits::WORKLOAD_CHARS).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(inner)
        && !name.ends_with('-')
}

/// Whether Azure takes a name for a job.
pub fn is_job(name: &str) -> bool {
    is_workload(name) && name.len() <= limits::NAME_CHARS && name.len() > 1 && !name.contains("--")
}

fn fits(key: &str, value: &str) -> bool {
    let good = |c: char| !c.is_control() && !"<>%&\\?/".contains(c);
    (1..=limits::TAG_NAME_CHARS).contains(&key.len())
        && key.chars().all(good)
        && value.encode_utf16().count() <= limits::TAG_CHARS
        && value.trim() == value
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::spec;

    #[test]
    fn a_name_that_fits_stays_and_another_is_shortened() {
        assert_eq!(job("sl-0123456789ab-1-deadbeef"), "sl-0123456789ab-1-deadbeef");
        let long = job("sl-0123456789ab-1234567-deadbeef0");
        assert!(is_job(&long) && long.starts_with("sl-sl-0123456789ab"), "{long}");
        assert!(is_job(&job("a--b")) && job("a--b") != job("a-b"));
        assert_eq!(shortened("Ünder_Score", 31, ""), shortened("Ünder_Score", 31, ""));
    }

    #[test]
    fn equal_names_of_different_owners_are_apart() {
        assert_ne!(shortened("data", 40, "d0"), shortened("data", 40, "d1"));
    }

    #[test]
    fn names_that_differ_at_their_end_are_apart() {
        let names: BTreeSet<String> =
            (0..20_000).map(|i| shortened(&format!("the-very-same-long-name-{i}"), 31, "d0")).collect();
        assert_eq!(names.len(), 20_000);
    }

    #[test]
    fn the_fingerprint_tells_specs_apart_but_not_expiries() {
        let one = fingerprint(&spec());
        assert_eq!(one, fingerprint(&Spec { expires: Some(7), ..spec() }));
        let mut other = spec();
        other.containers[0].args.push("x".into());
        assert_ne!(one, fingerprint(&other));
    }

    #[test]
    fn no_label_of_the_spec_takes_the_place_of_the_owner() {
        let spec = Spec { labels: vec![("Sockerless-Owner".into(), "thief".into())], ..spec() };
        let tags = tags(&spec);
        assert_eq!(tags[OWNER], "d0");
        assert!(!tags.contains_key("Sockerless-Owner"));
        assert!(is_owned(&tags, "d0") && !is_owned(&tags, "d1"));
    }

    proptest! {
        #[test]
        fn tags_always_fit_and_labels_come_back(pairs in prop::collection::vec((".{0,70}", ".{0,70}"), 0..10)) {
            let spec = Spec { labels: pairs.clone(), ..spec() };
            let tags = tags(&spec);
            prop_assert!(tags.len() <= limits::TAGS_MAX);
            prop_assert!(tags.iter().all(|(key, value)| fits(key, value)));
            prop_assert_eq!(spec_labels(&tags), pairs);
        }

        #[test]
        fn very_many_labels_lose_their_last_and_nothing_else(count in 100usize..400) {
            let pairs: Vec<Label> = (0..count).map(|i| (format!("key-{i}"), "x".repeat(60))).collect();
            let tags = tags(&Spec { labels: pairs.clone(), ..spec() });
            let kept = spec_labels(&tags);
            prop_assert!(tags.len() <= limits::TAGS_MAX && !kept.is_empty());
            prop_assert_eq!(&kept[..], &pairs[..kept.len()]);
        }

        #[test]
        fn every_workload_has_a_name_that_azure_takes(name in "[a-z][a-z0-9-]{0,47}[a-z0-9]") {
            prop_assert!(is_workload(&name));
            prop_assert!(is_job(&job(&name)));
        }
    }
}

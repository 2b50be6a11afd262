//! Labels and annotations: how a job is found again and recognised.
//!
//! A label's value is at most 63 of `[a-z0-9_-]`. What of a spec fits becomes a label, so that Google's
//! billing and console can group by it; the exact labels stand in an annotation.

use std::collections::BTreeMap;

use sockerless_plugin_sdk::{Label, jobs::Spec};

use crate::limits;

/// Marks all that Sockerless makes.
pub const MANAGED_BY: (&str, &str) = ("managed-by", "sockerless");
/// The label with the daemon that a job belongs to.
pub const OWNER: &str = "sockerless-owner";
/// The label with the time, in seconds since 1970, after which a reaper may delete it.
pub const EXPIRES: &str = "sockerless-expires";
/// The annotation with all labels of the spec, as JSON.
pub const ALL_LABELS: &str = "sockerless-labels";
/// The annotation with a hash of the spec, by which a repeated `create` is recognised.
pub const SPEC: &str = "sockerless-spec";

/// The end of an execution's name, given to Cloud Run as `startExecutionToken`. A job is
/// started once, so it can be the same everywhere.
pub const START_TOKEN: &str = "run";

const PREFIX: &str = "sockerless-";

/// The labels of the resources of a workload.
pub fn labels(spec: &Spec) -> BTreeMap<String, String> {
    let mut labels = plain_labels(&spec.owner, &spec.labels);
    if let Some(at) = spec.expires {
        labels.insert(EXPIRES.to_owned(), (at / 1000).to_string());
    }
    labels
}

/// The labels of anything that Sockerless makes: those that fit, one place left for the expiry.
pub fn plain_labels(owner: &str, wanted: &[Label]) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([
        (MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned()),
        (OWNER.to_owned(), owner.to_owned()),
    ]);
    for (key, value) in wanted {
        let key = format!("{PREFIX}{key}");
        let full = labels.len() + 1 >= limits::LABELS_MAX;
        if !full && fits(&key) && fits(value) && key != OWNER && key != EXPIRES {
            labels.insert(key, value.clone());
        }
    }
    labels
}

/// The annotations of a job.
pub fn annotations(spec: &Spec) -> BTreeMap<String, String> {
    // A list of pairs of strings is always JSON.
    let all = serde_json::to_string(&spec.labels).unwrap_or_default();
    BTreeMap::from([(ALL_LABELS.to_owned(), all), (SPEC.to_owned(), fingerprint(spec))])
}

/// The labels of the spec, from a job's annotations.
pub fn spec_labels(annotations: &BTreeMap<String, String>) -> Vec<Label> {
    annotations.get(ALL_LABELS).and_then(|all| serde_json::from_str(all).ok()).unwrap_or_default()
}

/// Whether a job belongs to an owner.
pub fn is_owned(labels: &BTreeMap<String, String>, owner: &str) -> bool {
    let is = |key: &str, value: &str| labels.get(key).is_some_and(|found| found == value);
    is(MANAGED_BY.0, MANAGED_BY.1) && is(OWNER, owner)
}

/// A hash (128-bit FNV-1a) of what the spec asks for. The expiry is left out: it moves when the
/// same intent is carried out again later.
pub fn fingerprint(spec: &Spec) -> String {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let spec = Spec { expires: None, ..spec.clone() };
    // A spec consists of strings, numbers and lists, which are always JSON.
    let bytes = serde_json::to_vec(&spec).unwrap_or_default();
    let hash = bytes.iter().fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME));
    format!("{hash:032x}")
}

/// The short name of the execution that `startExecutionToken` makes. That Cloud Run joins
/// the two with a hyphen is an inference from its other executions' names; where it is wrong, `status` finds
/// the name in the job.
pub fn execution_of(job: &str) -> String {
    format!("{job}-{START_TOKEN}")
}

/// Whether a name is one that the contract allows.
pub fn is_workload(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= limits::NAME_CHARS
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(inner)
        && !name.ends_with('-')
}

/// The last segment of a resource's name.
pub fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn fits(text: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    text.len() <= limits::LABEL_CHARS && text.chars().all(good)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::spec;

    #[test]
    fn a_label_that_fits_is_a_label_and_the_rest_an_annotation() {
        let spec = Spec {
            labels: vec![("container".into(), "ab12".into()), ("com.docker.x".into(), "Ü".into())],
            expires: Some(1_700_000_000_999),
            ..spec()
        };
        let labels = labels(&spec);
        assert_eq!(labels["sockerless-container"], "ab12");
        assert_eq!(labels["sockerless-expires"], "1700000000");
        assert_eq!(labels["managed-by"], "sockerless");
        assert_eq!(labels.len(), 4);
        assert_eq!(spec_labels(&annotations(&spec)), spec.labels);
        assert!(is_owned(&labels, "d0") && !is_owned(&labels, "d1"));
    }

    #[test]
    fn no_label_of_the_spec_takes_the_place_of_the_owner() {
        let spec = Spec { labels: vec![("owner".into(), "thief".into())], ..spec() };
        assert_eq!(labels(&spec)[OWNER], "d0");
    }

    #[test]
    fn the_fingerprint_tells_specs_apart_but_not_expiries() {
        let one = fingerprint(&spec());
        assert_eq!(one, fingerprint(&Spec { expires: Some(7), ..spec() }));
        let mut other = spec();
        other.containers[0].args.push("x".into());
        assert_ne!(one, fingerprint(&other));
        assert_ne!(one, fingerprint(&Spec { start: false, ..spec() }));
    }

    proptest! {
        #[test]
        fn labels_always_fit_and_always_come_back(pairs in prop::collection::vec((".{0,70}", ".{0,70}"), 0..80)) {
            let spec = Spec { labels: pairs.clone(), ..spec() };
            let labels = labels(&spec);
            prop_assert!(labels.len() <= limits::LABELS_MAX);
            prop_assert!(labels.iter().all(|(key, value)| fits(key) && fits(value)));
            prop_assert_eq!(spec_labels(&annotations(&spec)), pairs);
        }

        #[test]
        fn a_job_and_its_token_stay_below_63_characters(name in "[a-z][a-z0-9-]{0,47}[a-z0-9]") {
            prop_assert!(is_workload(&name));
            prop_assert!(execution_of(&name).len() < 63);
        }
    }
}

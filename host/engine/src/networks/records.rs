//! What stands in a network's zone: a pure function of who is on the network.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use sockerless_ports::backend::AddressRecord;

use crate::tuning;

/// Addresses by name.
pub(super) type Records = BTreeMap<String, Vec<String>>;

/// What should stand in a zone: who is on the network, by name and alias. Several behind one alias are several addresses of
/// one name. `members`: a name with its aliases, and the address.
pub(super) fn records(members: impl IntoIterator<Item = (Vec<String>, Ipv4Addr)>) -> Records {
    let mut all: BTreeMap<String, BTreeSet<Ipv4Addr>> = BTreeMap::new();
    for (names, address) in members {
        for name in names.iter().map(|name| name.to_lowercase()).filter(|name| is_host_name(name)) {
            all.entry(name).or_default().insert(address);
        }
    }
    let text = |addresses: BTreeSet<Ipv4Addr>| addresses.iter().map(ToString::to_string).collect();
    all.into_iter().map(|(name, addresses)| (name, text(addresses))).collect()
}

/// What a name server takes; the mesh resolves other names, too.
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
    };
    name.len() <= 200 && name.split('.').all(label)
}

/// One change of a zone.
pub(super) enum Step {
    Set(AddressRecord),
    Remove(String),
}

/// What leads from the records that stand to those that should.
pub(super) fn steps(stands: &Records, should: &Records) -> Vec<Step> {
    let gone =
        stands.keys().filter(|name| !should.contains_key(*name)).map(|name| Step::Remove(name.clone()));
    let set = should.iter().filter(|(name, addresses)| stands.get(*name) != Some(addresses)).map(
        |(name, addresses)| {
            let (name, addresses) = (name.clone(), addresses.clone());
            Step::Set(AddressRecord { name, addresses, ttl_seconds: tuning::RECORD_TTL })
        },
    );
    gone.chain(set).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn apply(mut stands: Records, steps: Vec<Step>) -> Records {
        for step in steps {
            match step {
                Step::Set(record) => stands.insert(record.name, record.addresses),
                Step::Remove(name) => stands.remove(&name),
            };
        }
        stands
    }

    #[test]
    fn names_that_no_name_server_takes_are_left_out() {
        let member = |names: &[&str], last| {
            (names.iter().map(|name| (*name).to_owned()).collect(), Ipv4Addr::new(10, 0, 0, last))
        };
        let all = records([member(&["Web", "api", "a b", "x..y", ""], 3), member(&["my_db.1", "api"], 2)]);
        let text = |last: u8| format!("10.0.0.{last}");
        assert_eq!(
            all,
            BTreeMap::from([
                ("api".to_owned(), vec![text(2), text(3)]),
                ("my_db.1".to_owned(), vec![text(2)]),
                ("web".to_owned(), vec![text(3)]),
            ])
        );
    }

    proptest! {
        #[test]
        fn the_steps_lead_from_what_stands_to_what_should(
            stands in prop::collection::btree_map("[a-c]{1,2}", prop::collection::vec("[1-3]", 1..3), 0..6),
            should in prop::collection::btree_map("[a-c]{1,2}", prop::collection::vec("[1-3]", 1..3), 0..6),
        ) {
            prop_assert_eq!(apply(stands.clone(), steps(&stands, &should)), should.clone());
            prop_assert!(steps(&should, &should).is_empty());
        }
    }
}

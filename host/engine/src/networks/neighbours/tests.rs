use std::collections::HashSet;

use bollard_stubs::models::Ipam;
use jiff::Timestamp;
use proptest::prelude::*;

use super::{
    super::{Plan, Subnet},
    *,
};

fn network(number: u8, options: &[(&str, &str)]) -> Network {
    let subnet = Subnet::around(Ipv4Addr::new(172, 18, number, 0), 24);
    Network {
        id: format!("net-{number}"),
        name: format!("n{number}"),
        driver: "bridge".into(),
        created: Timestamp::UNIX_EPOCH,
        internal: false,
        attachable: false,
        labels: HashMap::new(),
        options: options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ipam: Ipam { driver: None, config: None, options: None },
        plan: Plan::automatic(subnet),
        builtin: false,
        zone: None,
        cleanup: None,
        backend: None,
    }
}

fn run(name: &str) -> RunId {
    RunId { container: format!("id-of-{name}"), generation: 1 }
}

fn address(network: u8, last: u8) -> Ipv4Addr {
    Ipv4Addr::new(172, 18, network, last)
}

/// Network, last part of the address, aliases, links.
type Spot<'a> = (u8, u8, &'a [&'a str], &'a [(&'a str, &'a str)]);

fn member(name: &str, places: &[Spot<'_>]) -> Member {
    let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    let place = |(network, last, aliases, links): &Spot<'_>| Place {
        network: format!("net-{network}"),
        address: address(*network, *last),
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        links: links.iter().map(owned).collect(),
    };
    let places = places.iter().map(place).collect();
    Member { run: run(name), names: vec![name.into()], places, guests: Vec::new() }
}

fn resolve(fabric: &Fabric, from: &str, name: &str) -> Vec<Ipv4Addr> {
    fabric
        .networks(&run(from))
        .into_iter()
        .filter_map(|network| network.names.get(name).cloned())
        .flatten()
        .collect()
}

fn reaches(fabric: &Fabric, from: &str, to: Ipv4Addr) -> Option<String> {
    match fabric.route(&run(from), to) {
        Route::To { run, .. } => Some(run.container),
        Route::Outside(_) | Route::Closed | Route::Nobody | Route::Foreign => None,
    }
}

#[test]
fn two_networks_that_both_have_a_postgres_do_not_mix() {
    let fabric = Fabric::new(
        [network(1, &[]), network(2, &[])],
        vec![
            member("web1", &[(1, 2, &[], &[])]),
            member("web2", &[(2, 2, &[], &[])]),
            member("db1", &[(1, 3, &["postgres"], &[])]),
            member("db2", &[(2, 3, &["Postgres"], &[])]),
            member("both", &[(2, 4, &[], &[]), (1, 4, &[], &[])]),
        ],
    );
    assert_eq!(resolve(&fabric, "web1", "postgres"), [address(1, 3)]);
    assert_eq!(resolve(&fabric, "web2", "postgres"), [address(2, 3)]);
    assert_eq!(reaches(&fabric, "web1", address(1, 3)).as_deref(), Some("id-of-db1"));
    assert_eq!(fabric.route(&run("web1"), address(2, 3)), Route::Foreign);
    assert_eq!(fabric.route(&run("web1"), address(1, 77)), Route::Nobody);
    assert_eq!(fabric.route(&run("stranger"), address(1, 3)), Route::Foreign);
    // Who is on both sees both, each network by itself, in the order of their names.
    let seen = fabric.networks(&run("both"));
    assert_eq!(seen.iter().map(|network| network.name.as_str()).collect::<Vec<_>>(), ["n1", "n2"]);
    assert_eq!(resolve(&fabric, "both", "postgres"), [address(1, 3), address(2, 3)]);
    assert_eq!(resolve(&fabric, "both", "web2"), [address(2, 2)]);
    let own = fabric.route(&run("both"), address(2, 3));
    assert_eq!(own, Route::To { run: run("db2"), from: address(2, 4) });
}

#[test]
fn several_containers_behind_one_alias_are_several_addresses() {
    let replica = |name: &str, last| member(name, &[(1, last, &["api", "api"], &[])]);
    let fabric = Fabric::new([network(1, &[])], vec![replica("a", 2), replica("b", 3)]);
    assert_eq!(resolve(&fabric, "a", "api"), [address(1, 2), address(1, 3)]);
    assert_eq!(resolve(&fabric, "a", "a"), [address(1, 2)]);
}

#[test]
fn a_links_alias_is_seen_by_the_linking_container_alone() {
    let fabric = Fabric::new(
        [network(1, &[])],
        vec![
            member("web", &[(1, 2, &[], &[("db", "database"), ("nobody", "ghost")])]),
            member("db", &[(1, 3, &[], &[])]),
            member("other", &[(1, 4, &[], &[])]),
        ],
    );
    assert_eq!(resolve(&fabric, "web", "database"), [address(1, 3)]);
    assert!(resolve(&fabric, "other", "database").is_empty());
    assert!(resolve(&fabric, "web", "ghost").is_empty());
}

#[test]
fn on_the_default_bridge_only_own_names_and_links_resolve() {
    let mut bridge = network(1, &[]);
    bridge.builtin = true;
    let fabric = Fabric::new(
        [bridge],
        vec![
            member("web", &[(1, 2, &[], &[("id-of-db", "store")])]),
            member("data", &[(1, 3, &[], &[])]),
            member("db", &[(1, 4, &[], &[])]),
        ],
    );
    assert_eq!(resolve(&fabric, "web", "web"), [address(1, 2)]);
    // By its alias, and by its own name.
    assert_eq!(resolve(&fabric, "web", "store"), [address(1, 4)]);
    assert_eq!(resolve(&fabric, "web", "db"), [address(1, 4)]);
    assert!(resolve(&fabric, "db", "store").is_empty());
    assert!(resolve(&fabric, "web", "data").is_empty());
    // By address they do reach each other, as in dockerd.
    assert_eq!(reaches(&fabric, "web", address(1, 3)).as_deref(), Some("id-of-data"));
}

#[test]
fn without_icc_only_links_lead_to_others() {
    let silent = network(1, &[("com.docker.network.bridge.enable_icc", "False")]);
    let fabric = Fabric::new(
        [silent],
        vec![
            member("web", &[(1, 2, &[], &[("db", "db")])]),
            member("db", &[(1, 3, &[], &[])]),
            member("other", &[(1, 4, &[], &[])]),
        ],
    );
    assert_eq!(reaches(&fabric, "web", address(1, 3)).as_deref(), Some("id-of-db"));
    assert_eq!(fabric.route(&run("db"), address(1, 2)), Route::Nobody);
    assert_eq!(fabric.route(&run("web"), address(1, 4)), Route::Nobody);
    assert_eq!(reaches(&fabric, "web", address(1, 2)).as_deref(), Some("id-of-web"));
}

#[test]
fn only_those_are_told_of_a_change_who_know_something_else_then() {
    let mut bridge = network(3, &[]);
    bridge.builtin = true;
    let fabric = Fabric::new(
        [network(1, &[]), network(2, &[]), bridge],
        vec![
            member("a", &[(1, 2, &[], &[]), (3, 2, &[], &[])]),
            member("b", &[(2, 2, &[], &[])]),
            member("linking", &[(3, 3, &[], &[("a", "x")])]),
        ],
    );
    let told = |network: &str| fabric.concerned(&[network.to_owned()]).cloned().collect::<Vec<_>>();
    assert_eq!(told("net-1"), [run("a")]);
    assert_eq!(told("net-2"), [run("b")]);
    assert_eq!(told("net-3"), [run("linking")]);
}

proptest! {
    /// However containers are spread over networks: an address is reached, and a name resolved to it, by those alone that
    /// share the network.
    #[test]
    fn nothing_leads_from_one_network_to_another(spread in prop::collection::vec(prop::collection::hash_set(0_u8..4, 0..4), 1..12)) {
        let spread: Vec<HashSet<u8>> = spread;
        let members: Vec<Member> = spread.iter().enumerate().map(|(index, networks)| {
            let last = u8::try_from(index + 2).unwrap();
            let places: Vec<_> = networks.iter().map(|network| (*network, last, &["x"] as &[&str], &[] as &[(&str, &str)])).collect();
            member(&format!("m{index}"), &places)
        }).collect();
        let fabric = Fabric::new((0..4).map(|number| network(number, &[])), members);
        for (from, own) in spread.iter().enumerate() {
            let from = format!("m{from}");
            for (to, theirs) in spread.iter().enumerate() {
                for number in theirs {
                    let target = address(*number, u8::try_from(to + 2).unwrap());
                    let expected = own.contains(number).then(|| format!("id-of-m{to}"));
                    prop_assert_eq!(reaches(&fabric, &from, target), expected.clone());
                    prop_assert_eq!(resolve(&fabric, &from, &format!("m{to}")).contains(&target), expected.is_some());
                    prop_assert_eq!(resolve(&fabric, &from, "x").contains(&target), expected.is_some());
                }
            }
        }
    }
}

#[test]
fn whoever_has_the_stack_of_a_member_reaches_what_that_reaches_as_that() {
    let guest = run("guest");
    let root = Member { guests: vec![guest.clone()], ..member("root", &[(1, 2, &[], &[])]) };
    let fabric = Fabric::new([network(1, &[])], vec![root, member("db", &[(1, 3, &[], &[])])]);
    assert_eq!(fabric.networks(&guest), fabric.networks(&run("root")));
    assert_eq!(fabric.route(&guest, address(1, 3)), Route::To { run: run("db"), from: address(1, 2) });
    assert_eq!(fabric.route(&run("db"), address(1, 2)), Route::To { run: run("root"), from: address(1, 3) });
    let concerned: Vec<_> = fabric.concerned(&["net-1".to_owned()]).cloned().collect();
    assert!(concerned.contains(&guest));
}

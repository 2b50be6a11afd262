//! What `/etc/hosts` says, as dockerd writes it.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

use sockerless_agent_wire::mesh::MeshView;

/// What every container has.
const LOCAL: [&str; 6] = [
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "ff00::0\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
];

/// The network whose names are in `/etc/hosts` under dockerd, too; no user's network has its name.
const BRIDGE: &str = "bridge";

/// Where names lead.
#[derive(Clone, Copy)]
pub enum Seats<'a> {
    /// To the virtual addresses.
    Virtual,
    /// To an address that stands for each, the container's own among them; all names are here, since nobody answers for
    /// them.
    For(&'a dyn Fn(Ipv4Addr) -> Ipv4Addr),
    /// Nowhere but to the container itself, at this address: nothing is caught.
    Alone(IpAddr),
}

/// The lines about this container and its neighbours, in order, each once.
pub fn lines(view: &MeshView, seats: Seats<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, addresses) in &view.hosts {
        lines.extend(addresses.iter().map(|address| format!("{address}\t{name}")));
    }
    for network in &view.networks {
        let links = network.name == BRIDGE && !matches!(seats, Seats::Alone(_));
        if !links && !matches!(seats, Seats::For(_)) {
            continue;
        }
        for (name, addresses) in &network.names {
            let others = addresses.iter().filter(|address| !view.is_own(**address));
            lines.extend(others.map(|address| match seats {
                Seats::For(seat) => format!("{}\t{name}", seat(*address)),
                _ => format!("{address}\t{name}"),
            }));
        }
    }
    let own = view.own_names.join(" ");
    if !own.is_empty() {
        match seats {
            Seats::Alone(address) => lines.push(format!("{address}\t{own}")),
            Seats::Virtual => {
                lines.extend(view.networks.iter().map(|network| format!("{}\t{own}", network.address)));
            }
            Seats::For(seat) => {
                // Its other names, too: nobody else answers for them.
                let mut names: Vec<&str> = view.own_names.iter().map(String::as_str).collect();
                for network in &view.networks {
                    let own = network.names.iter().filter(|(_, all)| all.contains(&network.address));
                    names.extend(own.map(|(name, _)| name.as_str()));
                }
                let mut seen = BTreeSet::new();
                names.retain(|name| seen.insert(*name));
                let at = view.networks.first().map_or(Ipv4Addr::LOCALHOST, |network| seat(network.address));
                lines.push(format!("{at}\t{}", names.join(" ")));
            }
        }
    }
    let mut seen = BTreeSet::new();
    lines.retain(|line| seen.insert(line.clone()));
    lines
}

/// The whole file: what every container has, what the cloud has put there, and the lines.
pub fn whole(cloud: &[String], lines: &[String]) -> String {
    text(
        LOCAL.iter().copied().chain(cloud.iter().map(String::as_str)).chain(lines.iter().map(String::as_str)),
    )
}

/// Of a file of the cloud's: what neither every container has nor names this one.
pub fn of_the_cloud(file: &str, own: &[String]) -> Vec<String> {
    let foreign = |line: &&str| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else { return false };
        let multicast =
            address.is_multicast() || matches!(address, IpAddr::V6(v6) if v6.segments()[0] == 0xfe00);
        let names: Vec<&str> = words.collect();
        let local = names.iter().any(|name| *name == "localhost" || own.iter().any(|own| own == name));
        !(local || multicast || names.is_empty())
    };
    file.lines().filter(foreign).map(str::to_owned).collect()
}

/// The file with other lines in the place of those that were written before; what the container's programs have written
/// stays.
pub fn changed(file: &str, before: &[String], after: &[String]) -> String {
    let kept = file
        .lines()
        .filter(|line| !before.iter().any(|old| old == line) || after.iter().any(|new| new == line));
    let kept: Vec<&str> = kept.collect();
    let new = after.iter().map(String::as_str).filter(|line| !kept.contains(line));
    text(kept.iter().copied().chain(new))
}

fn text<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use sockerless_agent_wire::mesh::MeshNetwork;

    use super::*;

    fn network(name: &str, third: u8, names: &[(&str, u8)]) -> MeshNetwork {
        let at = |last| Ipv4Addr::new(172, 18, third, last);
        MeshNetwork {
            name: name.to_owned(),
            subnet: at(0),
            prefix: 24,
            gateway: at(1),
            address: at(2),
            names: names.iter().map(|(name, last)| ((*name).to_owned(), vec![at(*last)])).collect(),
        }
    }

    fn view() -> MeshView {
        MeshView {
            catch: true,
            networks: vec![
                network(BRIDGE, 0, &[("db", 3), ("web", 2)]),
                network("mine", 1, &[("cache", 4), ("web", 2), ("front", 2)]),
            ],
            hosts: BTreeMap::from([(
                "given".to_owned(),
                vec!["10.0.0.1".parse().unwrap(), "::5".parse().unwrap()],
            )]),
            own_names: vec!["web.example".to_owned(), "web".to_owned()],
            ..MeshView::default()
        }
    }

    #[test]
    fn given_names_links_and_the_containers_own_names_are_written() {
        let own = ["10.0.0.1\tgiven", "::5\tgiven", "172.18.0.3\tdb", "172.18.0.2\tweb.example web"];
        let lines = lines(&view(), Seats::Virtual);
        assert_eq!(lines, [&own[..], &["172.18.1.2\tweb.example web"]].concat());
        assert!(whole(&[], &lines).starts_with("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost"));
    }

    #[test]
    fn where_nobody_answers_for_names_all_are_written_with_who_stands_for_them() {
        let seat = |address: Ipv4Addr| Ipv4Addr::new(127, 0, 1, address.octets()[3]);
        let expected = [
            "10.0.0.1\tgiven",
            "::5\tgiven",
            "127.0.1.3\tdb",
            "127.0.1.4\tcache",
            "127.0.1.2\tweb.example web front",
        ];
        assert_eq!(lines(&view(), Seats::For(&seat)), expected);
    }

    #[test]
    fn a_container_that_reaches_nobody_has_its_own_name() {
        let lines = lines(&view(), Seats::Alone("10.1.2.3".parse().unwrap()));
        assert_eq!(lines, ["10.0.0.1\tgiven", "::5\tgiven", "10.1.2.3\tweb.example web"]);
    }

    #[test]
    fn what_the_cloud_has_put_there_stays_but_for_what_is_written_anyway() {
        let file = "# of the cloud\n127.0.0.1 localhost\n::1 localhost\nfe00::0 ip6-localnet\nff02::1 ip6-allnodes\n\
                    169.254.169.254 metadata.google.internal # there\n10.0.0.9 web\n";
        assert_eq!(
            of_the_cloud(file, &["web".to_owned()]),
            ["169.254.169.254 metadata.google.internal # there"]
        );
    }

    proptest! {
        #[test]
        fn what_a_program_has_written_outlives_every_change(
            own in proptest::collection::vec("[a-z]{1,9} #mine", 0..4),
            lists in proptest::collection::vec(proptest::collection::btree_set("10\\.0\\.0\\.[0-9]\t[a-c]", 0..5), 1..5),
        ) {
            let mut before: Vec<String> = Vec::new();
            let mut file = whole(&[], &before) + &text(own.iter().map(String::as_str));
            for list in lists {
                let after: Vec<String> = list.into_iter().collect();
                file = changed(&file, &before, &after);
                before = after;
                let lines: Vec<&str> = file.lines().collect();
                prop_assert!(own.iter().all(|line| lines.contains(&line.as_str())));
                prop_assert!(before.iter().all(|line| lines.iter().filter(|known| *known == line).count() == 1));
                prop_assert_eq!(lines.len(), LOCAL.len() + own.len() + before.len());
            }
        }
    }
}

//! Names of other containers.

use std::{
    cell::RefCell,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    rc::Rc,
};

use sockerless_agent_wire::mesh::MeshView;

/// What the daemon said last.
#[derive(Debug)]
pub struct Names {
    view: RefCell<Rc<MeshView>>,
    /// The name servers that the cloud has given.
    clouds: Vec<IpAddr>,
}

/// Name servers listen here.
const DNS: u16 = 53;

impl Names {
    /// `clouds`: the name servers that the user's take the place of.
    pub fn new(clouds: Vec<IpAddr>) -> Self {
        Self { view: RefCell::default(), clouds }
    }

    /// From now on this holds.
    pub fn replace(&self, view: Rc<MeshView>) {
        self.view.replace(view);
    }

    /// Who is asked in the place of a name server: one that a program has chosen by itself is asked.
    pub fn servers(&self, asked: IpAddr) -> Vec<SocketAddr> {
        if !self.clouds.contains(&asked.to_canonical()) {
            return Vec::new();
        }
        self.view.borrow().name_servers.iter().map(|server| SocketAddr::new(*server, DNS)).collect()
    }

    /// The addresses of a name: as in dockerd those of the first network that knows it.
    pub fn addresses(&self, name: &str) -> Option<Vec<Ipv4Addr>> {
        let view = self.view.borrow();
        if let Some(given) = view.hosts.get(name) {
            let v4 = given.iter().filter_map(|address| match address {
                IpAddr::V4(address) => Some(*address),
                IpAddr::V6(_) => None,
            });
            return Some(v4.collect());
        }
        view.networks.iter().find_map(|network| network.names.get(name).cloned())
    }

    /// The name of an address: with the network's behind it, as in dockerd.
    pub fn of(&self, address: Ipv4Addr) -> Option<String> {
        let view = self.view.borrow();
        let network = view.network_of(address)?;
        let (name, _) = network.names.iter().find(|(_, addresses)| addresses.contains(&address))?;
        Some(format!("{name}.{}", network.name))
    }

    /// Whether an address is in one of the container's networks.
    pub fn has(&self, address: Ipv4Addr) -> bool {
        self.view.borrow().network_of(address).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sockerless_agent_wire::mesh::MeshNetwork;

    use super::*;

    fn network(third: u8, names: &[(&str, &[u8])]) -> MeshNetwork {
        let at = |last| Ipv4Addr::new(172, 18, third, last);
        MeshNetwork {
            name: format!("n{third}"),
            subnet: at(0),
            prefix: 24,
            gateway: at(1),
            address: at(2),
            names: names
                .iter()
                .map(|(name, hosts)| ((*name).to_owned(), hosts.iter().map(|last| at(*last)).collect()))
                .collect(),
        }
    }

    #[test]
    fn a_name_is_looked_up_in_one_network_after_the_other_and_given_hosts_come_first() {
        let names = Names::new(Vec::new());
        assert_eq!(names.addresses("db"), None);
        names.replace(Rc::new(MeshView {
            catch: true,
            networks: vec![network(1, &[("db", &[3, 4])]), network(2, &[("db", &[9]), ("web", &[5])])],
            hosts: BTreeMap::from([(
                "given".to_owned(),
                vec!["::1".parse().unwrap(), "10.0.0.1".parse().unwrap()],
            )]),
            ..MeshView::default()
        }));
        let at = |third, last| Ipv4Addr::new(172, 18, third, last);
        assert_eq!(names.addresses("db"), Some(vec![at(1, 3), at(1, 4)]));
        assert_eq!(names.addresses("web"), Some(vec![at(2, 5)]));
        assert_eq!(names.addresses("given"), Some(vec![Ipv4Addr::new(10, 0, 0, 1)]));
        assert_eq!(names.of(at(2, 9)), Some("db.n2".to_owned()));
        assert_eq!(names.of(at(2, 77)), None);
        assert!(names.has(at(1, 200)) && !names.has(at(3, 1)));
    }

    #[test]
    fn the_users_name_servers_stand_in_for_the_clouds_and_for_no_others() {
        let (cloud, own) = (IpAddr::from([169, 254, 169, 254]), IpAddr::from([1, 1, 1, 1]));
        let names = Names::new(vec![cloud]);
        assert!(names.servers(cloud).is_empty());
        names.replace(Rc::new(MeshView { name_servers: vec![own], ..MeshView::default() }));
        assert_eq!(names.servers(cloud), [SocketAddr::new(own, 53)]);
        assert!(names.servers(own).is_empty() && names.servers([8, 8, 8, 8].into()).is_empty());
    }
}

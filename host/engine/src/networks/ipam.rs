//! Which address who gets: the one place that decides it, without a clock or a store.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use serde::{Deserialize, Serialize};

use super::Subnet;

/// How the addresses of a network are given out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub subnet: Subnet,
    /// Out of which one is taken when any will do; none for all of the subnet.
    #[serde(default)]
    pub range: Option<Subnet>,
    /// The daemon's own place: nobody gets it.
    pub gateway: Ipv4Addr,
    /// Others that nobody gets (`--aux-address`).
    #[serde(default)]
    pub reserved: BTreeSet<Ipv4Addr>,
    /// The user chose the subnet, and so may choose addresses in it, as in dockerd.
    #[serde(default)]
    pub configured: bool,
}

/// Why there is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAddress {
    /// The one that was asked for is not in the subnet.
    Outside,
    /// The one that was asked for is somebody's.
    InUse,
    /// None is left.
    Exhausted,
}

impl Plan {
    /// A network of the daemon's own making: the first address is the gateway. None for a subnet without room for one.
    pub fn automatic(subnet: Subnet) -> Option<Self> {
        Self::new(subnet, None, None, BTreeSet::new(), false)
    }

    /// None when no address is left for the gateway.
    pub fn new(
        subnet: Subnet,
        range: Option<Subnet>,
        gateway: Option<Ipv4Addr>,
        reserved: BTreeSet<Ipv4Addr>,
        configured: bool,
    ) -> Option<Self> {
        // Until it is known the network's own address stands in its place, which is nobody's either.
        let mut plan = Self { subnet, range, gateway: subnet.first(), reserved, configured };
        plan.gateway = match gateway {
            Some(gateway) => gateway,
            None => plan.range().addresses().find(|address| plan.is_free(*address))?,
        };
        Some(plan)
    }

    fn range(&self) -> Subnet {
        self.range.unwrap_or(self.subnet)
    }

    /// Whether a container may have it at all.
    pub fn is_free(&self, address: Ipv4Addr) -> bool {
        self.subnet.contains(address)
            && ![self.subnet.first(), self.subnet.last(), self.gateway].contains(&address)
            && !self.reserved.contains(&address)
    }

    /// An address that is not among those taken: the one asked for, else the one preferred, else the lowest of the range.
    pub fn choose<T>(
        &self,
        taken: &BTreeMap<Ipv4Addr, T>,
        asked: Option<Ipv4Addr>,
        preferred: Option<Ipv4Addr>,
    ) -> Result<Ipv4Addr, NoAddress> {
        let free = |address: &Ipv4Addr| self.is_free(*address) && !taken.contains_key(address);
        if let Some(asked) = asked {
            return match asked {
                asked if !self.subnet.contains(asked) => Err(NoAddress::Outside),
                asked if !free(&asked) => Err(NoAddress::InUse),
                asked => Ok(asked),
            };
        }
        let any = || self.range().addresses().find(free);
        preferred.filter(free).or_else(any).ok_or(NoAddress::Exhausted)
    }
}

/// The first slice of the pool that has nothing in common with any of the subnets in use.
pub(crate) fn next_subnet(pool: Subnet, prefix: u8, used: &[Subnet]) -> Option<Subnet> {
    pool.slices(prefix).find(|slice| !used.iter().any(|used| used.overlaps(*slice)))
}

/// As Docker makes it of an address: locally administered, and unique as long as the address is.
pub(crate) fn mac(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan(subnet: &str, range: Option<&str>) -> Plan {
        let range = range.map(|range| range.parse().unwrap());
        Plan::new(subnet.parse().unwrap(), range, None, BTreeSet::new(), true).unwrap()
    }

    #[test]
    fn the_gateway_is_the_first_address_and_no_containers() {
        let plan = plan("10.1.0.0/29", None);
        assert_eq!(plan.gateway, Ipv4Addr::new(10, 1, 0, 1));
        let mut taken = BTreeMap::new();
        for last in 2..7 {
            let address = plan.choose(&taken, None, None).unwrap();
            assert_eq!(address, Ipv4Addr::new(10, 1, 0, last));
            taken.insert(address, ());
        }
        assert_eq!(plan.choose(&taken, None, None), Err(NoAddress::Exhausted));
    }

    #[test]
    fn out_of_a_range_only_those_of_the_range_are_given_but_all_can_be_asked_for() {
        let plan = plan("10.1.0.0/16", Some("10.1.5.0/30"));
        assert_eq!(plan.gateway, Ipv4Addr::new(10, 1, 5, 0));
        let none: BTreeMap<_, ()> = BTreeMap::new();
        assert_eq!(plan.choose(&none, None, None), Ok(Ipv4Addr::new(10, 1, 5, 1)));
        let far = Ipv4Addr::new(10, 1, 99, 1);
        assert_eq!(plan.choose(&none, Some(far), None), Ok(far));
        assert_eq!(plan.choose(&none, Some(Ipv4Addr::new(10, 2, 0, 1)), None), Err(NoAddress::Outside));
        assert_eq!(plan.choose(&none, Some(plan.gateway), None), Err(NoAddress::InUse));
    }

    #[test]
    fn a_subnet_without_room_is_no_plan() {
        for tiny in ["10.1.0.0/31", "10.1.0.0/32"] {
            assert_eq!(Plan::automatic(tiny.parse().unwrap()), None, "{tiny}");
        }
    }

    #[test]
    fn subnets_are_taken_in_order_around_those_in_use() {
        let pool: Subnet = "172.18.0.0/16".parse().unwrap();
        let used: Vec<Subnet> = ["172.18.0.0/24", "172.18.2.128/25"].map(|used| used.parse().unwrap()).into();
        assert_eq!(next_subnet(pool, 24, &used[..1]).unwrap().to_string(), "172.18.1.0/24");
        let both = [used[0], "172.18.1.0/24".parse().unwrap(), used[1]];
        assert_eq!(next_subnet(pool, 24, &both).unwrap().to_string(), "172.18.3.0/24");
        assert_eq!(next_subnet(pool, 24, &[pool]), None);
    }

    proptest! {
        /// Whoever comes and goes in whatever order: nobody has another's address, nor one that is nobody's.
        #[test]
        fn no_two_have_the_same_address(
            prefix in 24_u8..=30,
            steps in prop::collection::vec((0_usize..40, any::<bool>(), any::<u8>()), 0..200),
        ) {
            let plan = Plan::automatic(Subnet::around(Ipv4Addr::new(172, 18, 7, 0), prefix)).unwrap();
            let mut taken: BTreeMap<Ipv4Addr, usize> = BTreeMap::new();
            let room = (1_usize << (32 - prefix)) - 3;
            for (who, comes, last) in steps {
                if !comes {
                    taken.retain(|_, holder| *holder != who);
                    continue;
                }
                let preferred = Some(Ipv4Addr::new(172, 18, 7, last));
                let before = taken.len();
                match plan.choose(&taken, None, preferred) {
                    Ok(address) => {
                        prop_assert!(plan.is_free(address));
                        if preferred.is_some_and(|preferred| plan.is_free(preferred) && !taken.contains_key(&preferred)) {
                            prop_assert_eq!(Some(address), preferred);
                        }
                        prop_assert!(taken.insert(address, who).is_none());
                    }
                    Err(error) => {
                        prop_assert_eq!(error, NoAddress::Exhausted);
                        prop_assert_eq!(before, room);
                    }
                }
            }
        }

        #[test]
        fn subnets_that_are_given_out_never_overlap(wanted in 1_usize..40, foreign in prop::collection::vec((0_u8..=255, 16_u8..=32), 0..8)) {
            let pool = Subnet::around(Ipv4Addr::new(172, 18, 0, 0), 16);
            let mut used: Vec<Subnet> = Vec::new();
            for (third, prefix) in foreign {
                let subnet = Subnet::around(Ipv4Addr::new(172, 18, third, 9), prefix);
                if !used.iter().any(|used| used.overlaps(subnet)) {
                    used.push(subnet);
                }
            }
            for _ in 0..wanted {
                let Some(next) = next_subnet(pool, 24, &used) else { break };
                prop_assert!(pool.covers(next) && next.prefix() == 24);
                prop_assert!(used.iter().all(|used| !used.overlaps(next)));
                used.push(next);
            }
        }

        #[test]
        fn addresses_have_macs_of_their_own(one in any::<u32>(), other in any::<u32>()) {
            let (one, other) = (Ipv4Addr::from_bits(one), Ipv4Addr::from_bits(other));
            prop_assert_eq!(mac(one) == mac(other), one == other);
            prop_assert_eq!(mac(one).len(), 17);
        }
    }
}

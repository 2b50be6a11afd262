//! The virtual addresses, as they are at the moment.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

/// A network that the container is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// First address of the subnet.
    pub subnet: Ipv4Addr,
    /// Length of the subnet's prefix, 0 to 32 bits.
    pub prefix: u8,
    /// The container's own address in it.
    pub own: Ipv4Addr,
}

impl Network {
    /// The first address of the subnet, without the bits beyond its prefix.
    pub(crate) fn first(&self) -> Ipv4Addr {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0);
        Ipv4Addr::from(u32::from(self.subnet) & mask)
    }

    fn holds(&self, address: Ipv4Addr) -> bool {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0);
        u32::from(address) & mask == u32::from(self.subnet) & mask
    }
}

/// The networks of the container; clones are one table, and changes count at once.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    networks: Arc<RwLock<Vec<Network>>>,
    /// Of others with the same network stack.
    beside: Arc<RwLock<Vec<Ipv4Addr>>>,
    /// Whether there is any, without the lock.
    any: Arc<AtomicBool>,
}

impl Addresses {
    /// Replaces the table. Connections that exist are left as they are.
    pub fn replace(&self, networks: Vec<Network>) {
        let mut table = self.networks.write().unwrap_or_else(PoisonError::into_inner);
        self.any.store(!networks.is_empty(), Ordering::Release);
        *table = networks;
    }

    /// Replaces the addresses of others that share the container's network stack.
    pub fn replace_beside(&self, others: Vec<Ipv4Addr>) {
        *self.beside.write().unwrap_or_else(PoisonError::into_inner) = others;
    }

    /// Whether who has the address is on this side of the mesh: the container itself, or one with the same network stack.
    pub(crate) fn is_here(&self, address: Ipv4Addr) -> bool {
        let beside = || self.beside.read().unwrap_or_else(PoisonError::into_inner).contains(&address);
        self.is_own(address) || self.is_virtual(address) && beside()
    }

    /// Whether the container is on any network.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Network> {
        self.networks.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The network of a virtual address.
    fn network(&self, address: Ipv4Addr) -> Option<Network> {
        if !self.any() {
            return None;
        }
        let table = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        table.iter().find(|network| network.holds(address)).copied()
    }

    /// Whether the address belongs to one of the container's networks.
    pub fn is_virtual(&self, address: Ipv4Addr) -> bool {
        self.network(address).is_some()
    }

    /// Whether the address is the container's own in one of its networks.
    pub fn is_own(&self, address: Ipv4Addr) -> bool {
        self.network(address).is_some_and(|network| network.own == address)
    }

    /// The container's own address in the network of another.
    pub(crate) fn own_beside(&self, address: Ipv4Addr) -> Option<Ipv4Addr> {
        self.network(address).map(|network| network.own)
    }

    /// The virtual address that a shadow stands for.
    pub(crate) fn behind(&self, address: Ipv4Addr) -> Option<Ipv4Addr> {
        if !is_shadow(address) || !self.any() {
            return None;
        }
        let table = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        let in_network = |network: &Network| {
            // The bits that a shadow lacks are the network's, unless its prefix is shorter than they are.
            let missing = u32::from(network.subnet) & !KEPT;
            let whole = Ipv4Addr::from(u32::from(address) & KEPT | missing);
            (network.holds(whole) && shadow(whole) == address).then_some(whole)
        };
        table.iter().find_map(in_network)
    }
}

/// The bits of a virtual address that its shadow keeps.
const KEPT: u32 = 0x007f_ffff;
/// 127.128.0.0/9: nobody uses it by itself, and servers that trust 127.0.0.1 do not trust it.
const SHADOWS: u32 = 0x7f80_0000;

/// The loopback address that stands for a virtual one where the kernel has to know it: 127.146.0.3 for 172.18.0.3.
///
/// The container's own server that is bound to its own virtual address listens on its shadow. Who connects for a peer
/// should connect *from* the peer's shadow *to* the container's own shadow: servers that listen on all addresses take it,
/// those that listen on 127.0.0.1 alone refuse it (by the kernel), and none takes it for a local client it may trust.
#[must_use]
pub fn shadow(address: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(address) & KEPT | SHADOWS)
}

pub(crate) fn is_shadow(address: Ipv4Addr) -> bool {
    u32::from(address) & !KEPT == SHADOWS
}

/// The IPv4 address in an address, also a mapped one.
pub(crate) fn v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address.to_canonical() {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table() -> Addresses {
        let addresses = Addresses::default();
        let network = |subnet: [u8; 4], prefix, own: [u8; 4]| Network {
            subnet: subnet.into(),
            prefix,
            own: own.into(),
        };
        addresses.replace(vec![
            network([172, 18, 0, 0], 24, [172, 18, 0, 2]),
            network([10, 200, 0, 0], 16, [10, 200, 0, 9]),
        ]);
        addresses
    }

    #[test]
    fn an_address_is_virtual_when_a_network_of_the_container_holds_it() {
        let addresses = table();
        assert!(addresses.is_virtual([172, 18, 0, 77].into()));
        assert!(!addresses.is_virtual([172, 18, 1, 77].into()));
        assert!(addresses.is_own([10, 200, 0, 9].into()));
        assert!(!addresses.is_own([10, 200, 0, 8].into()));
        assert_eq!(addresses.own_beside([10, 200, 3, 8].into()), Some([10, 200, 0, 9].into()));
        addresses.replace(Vec::new());
        assert!(!addresses.is_virtual([172, 18, 0, 77].into()));
    }

    #[test]
    fn who_shares_the_stack_is_here_but_has_another_address() {
        let addresses = table();
        let other = Ipv4Addr::new(172, 18, 0, 7);
        assert!(addresses.is_here([172, 18, 0, 2].into()) && !addresses.is_here(other));
        addresses.replace_beside(vec![other, [9, 9, 9, 9].into()]);
        assert!(addresses.is_here(other) && !addresses.is_own(other));
        // On no network of the container's: none of the mesh's business.
        assert!(!addresses.is_here([9, 9, 9, 9].into()));
    }

    #[test]
    fn a_prefix_of_no_bits_holds_everything() {
        let addresses = Addresses::default();
        addresses.replace(vec![Network {
            subnet: Ipv4Addr::UNSPECIFIED,
            prefix: 0,
            own: [1, 2, 3, 4].into(),
        }]);
        assert!(addresses.is_virtual([9, 9, 9, 9].into()));
    }

    proptest! {
        #[test]
        fn a_shadow_is_of_loopback_but_never_localhost_and_leads_back(host in 0_u8..=255, third in 0_u8..=255) {
            let addresses = table();
            for address in [Ipv4Addr::from([172, 18, 0, host]), Ipv4Addr::from([10, 200, third, host])] {
                prop_assert!(shadow(address).is_loopback());
                prop_assert!(shadow(address).octets()[1] >= 128);
                prop_assert_eq!(addresses.behind(shadow(address)), Some(address));
                prop_assert_eq!(addresses.behind(address), None);
            }
        }
    }
}

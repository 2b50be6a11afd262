//! A range of IPv4 addresses with a common prefix.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use serde::{Deserialize, Serialize};

/// `172.18.0.0/16`: the first address has no bits beyond the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    first: Ipv4Addr,
    prefix: u8,
}

/// Why a text is no subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubnetError {
    /// It is not `a.b.c.d/n`.
    #[error("invalid CIDR block notation")]
    Notation,
    /// There are bits beyond the prefix.
    #[error("it should be {0}")]
    HostBits(Subnet),
}

impl Subnet {
    /// The subnet of that size that has the address. `prefix` above 32 counts as 32.
    pub const fn around(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = if prefix > 32 { 32 } else { prefix };
        Self { first: Ipv4Addr::from_bits(address.to_bits() & mask(prefix)), prefix }
    }

    /// The first address.
    pub const fn first(self) -> Ipv4Addr {
        self.first
    }

    /// The last address.
    pub const fn last(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first.to_bits() | !mask(self.prefix))
    }

    /// Bits of the prefix.
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether the address is one of it.
    pub const fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.first.to_bits()
    }

    /// Whether all of the other is in it.
    pub const fn covers(self, other: Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.first)
    }

    /// Whether they have an address in common.
    pub const fn overlaps(self, other: Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// Its parts of a size, in order; itself alone when it is not larger than that.
    pub fn slices(self, prefix: u8) -> impl Iterator<Item = Self> {
        let prefix = prefix.clamp(self.prefix, 32);
        // 2^32 addresses do not fit 32 bits: steps are counted.
        let count = 1_u64 << (prefix - self.prefix);
        let first = u64::from(self.first.to_bits());
        let step = 1_u64 << (32 - prefix);
        (0..count).filter_map(move |index| {
            let first = u32::try_from(first + index * step).ok()?;
            Some(Self { first: Ipv4Addr::from_bits(first), prefix })
        })
    }

    /// All of its addresses, in order.
    pub fn addresses(self) -> impl Iterator<Item = Ipv4Addr> {
        (self.first.to_bits()..=self.last().to_bits()).map(Ipv4Addr::from_bits)
    }
}

const fn mask(prefix: u8) -> u32 {
    match u32::MAX.checked_shl(32 - prefix as u32) {
        Some(mask) => mask,
        None => 0,
    }
}

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let (address, prefix) = text.split_once('/').ok_or(SubnetError::Notation)?;
        let address: Ipv4Addr = address.parse().map_err(|_| SubnetError::Notation)?;
        let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = prefix.parse().ok().filter(|prefix| digits && *prefix <= 32);
        let subnet = Self::around(address, prefix.ok_or(SubnetError::Notation)?);
        if subnet.first == address { Ok(subnet) } else { Err(SubnetError::HostBits(subnet)) }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

impl TryFrom<String> for Subnet {
    type Error = SubnetError;

    fn try_from(text: String) -> Result<Self, SubnetError> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_subnet() -> impl Strategy<Value = Subnet> {
        (any::<u32>(), 0_u8..=32).prop_map(|(bits, prefix)| Subnet::around(Ipv4Addr::from_bits(bits), prefix))
    }

    #[test]
    fn a_subnet_is_read_in_cidr_notation_alone() {
        assert_eq!("10.1.0.0/24".parse(), Ok(Subnet::around(Ipv4Addr::new(10, 1, 0, 7), 24)));
        for bad in
            ["", "10.1.0.0", "10.1.0/24", "10.1.0.0/33", "10.1.0.0/", "10.1.0.0/+8", "fd00::/64", "/24"]
        {
            assert_eq!(bad.parse::<Subnet>(), Err(SubnetError::Notation), "{bad}");
        }
        let error = "10.1.0.5/24".parse::<Subnet>().unwrap_err();
        assert_eq!(error.to_string(), "it should be 10.1.0.0/24");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(subnet in any_subnet()) {
            prop_assert_eq!(subnet.to_string().parse(), Ok(subnet));
            prop_assert_eq!(serde_json::from_str::<Subnet>(&serde_json::to_string(&subnet).unwrap()).unwrap(), subnet);
        }

        #[test]
        fn overlap_is_a_common_address(one in any_subnet(), other in any_subnet()) {
            let common = one.first().max(other.first()) <= one.last().min(other.last());
            prop_assert_eq!(one.overlaps(other), common);
            prop_assert!(one.contains(one.first()) && one.contains(one.last()));
        }

        #[test]
        fn slices_are_apart_and_fill_the_whole(bits in any::<u32>(), prefix in 8_u8..=28, more in 0_u8..=8) {
            let whole = Subnet::around(Ipv4Addr::from_bits(bits), prefix);
            let slices: Vec<Subnet> = whole.slices(prefix + more).collect();
            prop_assert_eq!(slices.first().map(|slice| slice.first()), Some(whole.first()));
            prop_assert_eq!(slices.last().map(|slice| slice.last()), Some(whole.last()));
            for pair in slices.windows(2) {
                prop_assert_eq!(pair[0].last().to_bits() + 1, pair[1].first().to_bits());
            }
        }
    }
}

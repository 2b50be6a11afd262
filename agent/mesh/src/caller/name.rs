//! Socket addresses as the kernel has them in memory: `struct sockaddr_in` and `sockaddr_in6`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use rustix::io::Errno;

use super::Call;

const INET: u16 = libc::AF_INET as u16;
const INET6: u16 = libc::AF_INET6 as u16;
const UNSPECIFIED: u16 = libc::AF_UNSPEC as u16;

/// What a program names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// An internet address; IPv4 also where it was written as a mapped one.
    Internet(SocketAddr),
    /// `AF_UNSPEC`: a connected socket is not any more.
    Nobody,
    /// Of another family, or not well-formed: the kernel's.
    Other,
}

impl Call {
    /// The address at a place in memory.
    pub(crate) fn name(&self, base: u64, len: u64) -> Result<Name, Errno> {
        // Longer ones hold no more of interest.
        let mut bytes = [0; 28];
        let len = usize::try_from(len).map_or(bytes.len(), |len| len.min(bytes.len()));
        if base == 0 || len < 2 {
            return Ok(Name::Other);
        }
        self.read(base, &mut bytes[..len])?;
        Ok(decode(&bytes[..len]))
    }

    /// Tells an address as `getpeername` does: as much as there is room for, and its whole length.
    pub(crate) fn tell(&self, name: &[u8], base: u64, length_at: u64) -> Result<(), Errno> {
        let mut room = [0; 4];
        self.read(length_at, &mut room)?;
        let room = usize::try_from(i32::from_ne_bytes(room)).map_err(|_| Errno::INVAL)?;
        self.write(base, &name[..name.len().min(room)])?;
        self.write(length_at, &(name.len() as u32).to_ne_bytes())
    }
}

/// Reads a `sockaddr`.
pub(crate) fn decode(bytes: &[u8]) -> Name {
    let Some((family, rest)) = bytes.split_first_chunk::<2>() else { return Name::Other };
    let family = u16::from_ne_bytes(*family);
    let port = |rest: &[u8]| rest.first_chunk::<2>().map(|port| u16::from_be_bytes(*port));
    match family {
        UNSPECIFIED => Name::Nobody,
        INET if bytes.len() >= 16 => {
            let (Some(port), Some(address)) = (port(rest), rest.get(2..6)) else { return Name::Other };
            let address: [u8; 4] = address.try_into().unwrap_or_default();
            Name::Internet(SocketAddr::from((Ipv4Addr::from(address), port)))
        }
        INET6 if bytes.len() >= 24 => {
            let (Some(port), Some(address)) = (port(rest), rest.get(6..22)) else { return Name::Other };
            let address: [u8; 16] = address.try_into().unwrap_or_default();
            let address = Ipv6Addr::from(address);
            if let Some(v4) = address.to_ipv4_mapped() {
                return Name::Internet(SocketAddr::from((v4, port)));
            }
            let scope =
                bytes.get(24..28).and_then(|scope| scope.try_into().ok()).map_or(0, u32::from_ne_bytes);
            Name::Internet(SocketAddrV6::new(address, port, 0, scope).into())
        }
        _ => Name::Other,
    }
}

/// Writes a `sockaddr`, for a socket of IPv6 or of IPv4.
pub(crate) fn encode(address: SocketAddr, v6: bool) -> Vec<u8> {
    let port = address.port().to_be_bytes();
    let mut bytes = Vec::with_capacity(28);
    match (address.ip(), v6) {
        (IpAddr::V4(v4), false) => {
            bytes.extend(INET.to_ne_bytes());
            bytes.extend(port);
            bytes.extend(v4.octets());
            bytes.extend([0; 8]);
        }
        (ip, _) => {
            let v6 = match ip {
                IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                IpAddr::V6(v6) => v6,
            };
            let scope = if let SocketAddr::V6(address) = address { address.scope_id() } else { 0 };
            bytes.extend(INET6.to_ne_bytes());
            bytes.extend(port);
            bytes.extend([0; 4]);
            bytes.extend(v6.octets());
            bytes.extend(scope.to_ne_bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_address_written_is_the_one_read(ip: [u8; 4], long: [u8; 16], port: u16, scope: u32, v6: bool) {
            let v4 = SocketAddr::from((ip, port));
            prop_assert_eq!(decode(&encode(v4, v6)), Name::Internet(v4));
            let long = SocketAddr::from(SocketAddrV6::new(Ipv6Addr::from(long), port, 0, scope));
            prop_assert_eq!(decode(&encode(long, true)), Name::Internet(match long.ip().to_canonical() {
                IpAddr::V4(v4) => SocketAddr::from((v4, port)),
                IpAddr::V6(_) => long,
            }));
        }

        #[test]
        fn any_bytes_are_read_without_a_fault(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}

//! As much of rtnetlink(7) as one device needs.

use std::{
    io,
    net::Ipv4Addr,
    os::fd::{AsRawFd, OwnedFd},
};

use nix::{
    net::if_::if_nametoindex,
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket},
};

const REQUEST_ACK: u16 = 0x1 | 0x4;
const CREATE: u16 = 0x400;
const REPLACE: u16 = 0x100;
const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const IFLA_MTU: u16 = 4;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_PREFSRC: u16 = 7;
const AF_INET: u8 = 2;
const IFF_UP: u32 = 1;

/// A line to the kernel, about the network namespace in which it was opened.
pub(super) struct Netlink(OwnedFd);

impl Netlink {
    pub fn open() -> io::Result<Self> {
        let protocol = SockProtocol::NetlinkRoute;
        Ok(Self(socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?))
    }

    /// Lets a device carry packets, of this size if it is not the usual one.
    pub fn set_up(&self, name: &str, mtu: Option<u32>) -> io::Result<u32> {
        let index = if_nametoindex(name)?;
        let mut message = message(RTM_NEWLINK, 0);
        message.extend([0; 4]);
        message.extend(index.to_ne_bytes());
        message.extend(IFF_UP.to_ne_bytes());
        message.extend(IFF_UP.to_ne_bytes());
        if let Some(mtu) = mtu {
            attribute(&mut message, IFLA_MTU, &mtu.to_ne_bytes());
        }
        self.request(message)?;
        Ok(index)
    }

    /// Gives a device an address, or takes it.
    pub fn address(&self, index: u32, address: Ipv4Addr, there: bool) -> io::Result<()> {
        let mut message =
            if there { message(RTM_NEWADDR, CREATE | REPLACE) } else { message(RTM_DELADDR, 0) };
        // Itself alone; of the whole world.
        message.extend([AF_INET, 32, 0, 0]);
        message.extend(index.to_ne_bytes());
        attribute(&mut message, IFA_LOCAL, &address.octets());
        attribute(&mut message, IFA_ADDRESS, &address.octets());
        self.request(message)
    }

    /// Leads a subnet to a device, from an address of its own.
    pub fn route(&self, index: u32, subnet: Ipv4Addr, prefix: u8, from: Option<Ipv4Addr>) -> io::Result<()> {
        let mut message = message(RTM_NEWROUTE, CREATE | REPLACE);
        // Main table, by hand, on the link, unicast.
        message.extend([AF_INET, prefix, 0, 0, 254, 4, 253, 1, 0, 0, 0, 0]);
        if prefix > 0 {
            attribute(&mut message, RTA_DST, &subnet.octets());
        }
        attribute(&mut message, RTA_OIF, &index.to_ne_bytes());
        if let Some(from) = from {
            attribute(&mut message, RTA_PREFSRC, &from.octets());
        }
        self.request(message)
    }

    fn request(&self, mut message: Vec<u8>) -> io::Result<()> {
        let length = u32::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        message[..4].copy_from_slice(&length.to_ne_bytes());
        send(self.0.as_raw_fd(), &message, MsgFlags::empty())?;
        let mut answer = [0; 4096];
        let length = recv(self.0.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        let answer = &answer[..length];
        let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
        let code = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
        match (kind, code) {
            (Some(NLMSG_ERROR), Some(0)) => Ok(()),
            (Some(NLMSG_ERROR), Some(code)) => Err(io::Error::from_raw_os_error(-code)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// The header of a request; its length is set at the end.
fn message(kind: u16, flags: u16) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((REQUEST_ACK | flags).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    // At most a few bytes, always a multiple of four.
    message.extend(((4 + value.len()) as u16).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend_from_slice(value);
}

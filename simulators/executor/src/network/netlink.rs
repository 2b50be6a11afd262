//! As much of rtnetlink as a bridge and its ports need.
//!
//! Numbers and layouts: rtnetlink(7) and the kernel's `linux/rtnetlink.h`, `linux/if_link.h`.

use std::{
    io,
    net::Ipv4Addr,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

const NLMSG_ERROR: u16 = 2;
const REQUEST_ACK: u16 = 0x1 | 0x4;
const CREATE_EXCL: u16 = 0x400 | 0x200;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const NESTED: u16 = 0x8000;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const AF_INET: u8 = 2;
const IFF_UP: u32 = 1;

/// A line to the kernel. It stays with the network namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Netlink(OwnedFd);

impl Netlink {
    pub(crate) fn open() -> io::Result<Self> {
        let protocol = SockProtocol::NetlinkRoute;
        Ok(Self(socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?))
    }

    /// A bridge that is up, with a fixed hardware address (it would follow its ports' otherwise).
    pub(crate) fn add_bridge(&self, name: &str, hardware: [u8; 6]) -> io::Result<()> {
        let mut message = Message::link(RTM_NEWLINK, CREATE_EXCL, 0, true);
        message.text(IFLA_IFNAME, name);
        message.attribute(IFLA_ADDRESS, &hardware);
        message.nest(IFLA_LINKINFO, |info| info.text(IFLA_INFO_KIND, "bridge"));
        self.request(message)
    }

    /// A pair: `port` at the bridge `master`, up; `peer` in another namespace.
    pub(crate) fn add_pair(
        &self,
        port: &str,
        master: u32,
        peer: &str,
        namespace: BorrowedFd<'_>,
    ) -> io::Result<()> {
        let mut message = Message::link(RTM_NEWLINK, CREATE_EXCL, 0, true);
        message.text(IFLA_IFNAME, port);
        message.attribute(IFLA_MASTER, &master.to_ne_bytes());
        message.nest(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, "veth");
            info.nest(IFLA_INFO_DATA, |data| {
                data.nest(VETH_INFO_PEER, |end| {
                    end.0.extend_from_slice(&link_header(0, false));
                    end.text(IFLA_IFNAME, peer);
                    end.attribute(IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes());
                });
            });
        });
        self.request(message)
    }

    pub(crate) fn set_up(&self, index: u32) -> io::Result<()> {
        self.request(Message::link(RTM_NEWLINK, 0, index, true))
    }

    /// In the namespace of this line; a link that is not there is no error.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        let mut message = Message::link(RTM_DELLINK, 0, 0, false);
        message.text(IFLA_IFNAME, name);
        match self.request(message) {
            Err(error) if error.raw_os_error() != Some(Errno::ENODEV as i32) => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) fn add_address(&self, index: u32, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
        let mut message = Message::new(RTM_NEWADDR, CREATE_EXCL);
        message.0.extend_from_slice(&[AF_INET, prefix, 0, 0]);
        message.0.extend_from_slice(&index.to_ne_bytes());
        message.attribute(IFA_LOCAL, &address.octets());
        message.attribute(IFA_ADDRESS, &address.octets());
        self.request(message)
    }

    pub(crate) fn add_default_route(&self, index: u32, gateway: Ipv4Addr) -> io::Result<()> {
        let mut message = Message::new(RTM_NEWROUTE, CREATE_EXCL);
        // Main table, protocol boot, universe, unicast.
        message.0.extend_from_slice(&[AF_INET, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0]);
        message.attribute(RTA_GATEWAY, &gateway.octets());
        message.attribute(RTA_OIF, &index.to_ne_bytes());
        self.request(message)
    }

    fn request(&self, message: Message) -> io::Result<()> {
        let message = message.finish()?;
        send(self.0.as_raw_fd(), &message, MsgFlags::empty())?;
        let mut answer = [0; 8192];
        let length = recv(self.0.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        let answer = &answer[..length];
        let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
        let code = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
        match (kind, code) {
            (Some(NLMSG_ERROR), Some(0)) => Ok(()),
            (Some(NLMSG_ERROR), Some(code)) => Err(io::Error::from_raw_os_error(-code)),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "netlink answered something else")),
        }
    }
}

/// The number of a link in this thread's network namespace.
pub(crate) fn index_of(name: &str) -> io::Result<u32> {
    Ok(nix::net::if_::if_nametoindex(name)?)
}

fn link_header(index: u32, up: bool) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    if up {
        header[8..12].copy_from_slice(&IFF_UP.to_ne_bytes());
        header[12..16].copy_from_slice(&IFF_UP.to_ne_bytes());
    }
    header
}

struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; 16];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(REQUEST_ACK | flags).to_ne_bytes());
        Self(bytes)
    }

    fn link(kind: u16, flags: u16, index: u32, up: bool) -> Self {
        let mut message = Self::new(kind, flags);
        message.0.extend_from_slice(&link_header(index, up));
        message
    }

    fn text(&mut self, kind: u16, text: &str) {
        let mut value = text.as_bytes().to_vec();
        value.push(0);
        self.attribute(kind, &value);
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.begin(kind, |message| message.0.extend_from_slice(value));
    }

    fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        self.begin(kind | NESTED, fill);
    }

    fn begin(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0, 0]);
        self.0.extend_from_slice(&kind.to_ne_bytes());
        fill(self);
        // All that is sent here is far below 64 KiB.
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> io::Result<Vec<u8>> {
        let length = u32::try_from(self.0.len()).map_err(io::Error::other)?;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_to_four_bytes_and_counted_without_the_padding() {
        let mut message = Message::new(RTM_NEWLINK, 0);
        message.nest(7, |inner| inner.text(3, "abcd"));
        let bytes = message.finish().unwrap();
        assert_eq!(bytes.len(), 16 + 4 + 12);
        assert_eq!(bytes[0], 32);
        assert_eq!(bytes[16..20], [16, 0, 7, 0x80]);
        assert_eq!(bytes[20..24], [9, 0, 3, 0]);
        assert_eq!(&bytes[24..], b"abcd\0\0\0\0");
    }
}

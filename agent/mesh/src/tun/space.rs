//! The network namespace: a thread that is in it, and makes its sockets.

use std::{
    collections::BTreeSet,
    fs::File,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::PathBuf,
    sync::mpsc,
    thread,
};

use nix::sched::{CloneFlags, unshare};
use rustix::{
    net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with},
    thread::gettid,
};

use super::netlink::Netlink;
use crate::{Network, kernel, tuning};

/// The agent's own address in there.
pub(super) const AGENT: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const DEVICE: &str = "mesh0";

/// What the thread is asked for; it answers at once.
type Ask = Box<dyn FnOnce(&mut Inside) + Send>;

pub(super) struct Space {
    ask: mpsc::Sender<Ask>,
    namespace: OwnedFd,
    /// The kernel's tables of it: what `/proc/net` is to a process in there.
    pub tables: PathBuf,
}

/// As made.
pub(super) struct Made {
    pub space: Space,
    pub device: OwnedFd,
    /// On [`AGENT`].
    pub listener: TcpListener,
}

struct Inside {
    netlink: Netlink,
    index: u32,
    own: BTreeSet<Ipv4Addr>,
}

impl Space {
    /// Makes one. Takes some milliseconds.
    ///
    /// # Errors
    /// Without CAP_SYS_ADMIN, CAP_NET_ADMIN or `/dev/net/tun`, with what is missing.
    pub fn make() -> io::Result<Made> {
        let (tell, told) = mpsc::sync_channel(1);
        let (ask, asked) = mpsc::channel::<Ask>();
        thread::Builder::new().name("network".into()).stack_size(tuning::STACK).spawn(move || {
            let (mut inside, made) = match enter() {
                Ok((inside, namespace, device, listener)) => {
                    let id = gettid().as_raw_nonzero();
                    let tables = format!("/proc/self/task/{id}/net").into();
                    (inside, (Space { ask, namespace, tables }, device, listener))
                }
                Err(error) => return drop(tell.send(Err(error))),
            };
            let (space, device, listener) = made;
            if tell.send(Ok(Made { space, device, listener })).is_ok() {
                asked.iter().for_each(|what| what(&mut inside));
            }
        })?;
        told.recv().map_err(|_| io::Error::other("the thread has ended"))?
    }

    /// For a process that is to be in there.
    ///
    /// # Errors
    /// Without descriptors.
    pub fn namespace(&self) -> io::Result<OwnedFd> {
        self.namespace.try_clone()
    }

    fn ask<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut Inside) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (tell, told) = mpsc::sync_channel(1);
        let gone = || io::Error::other("the network namespace is gone");
        let ask: Ask = Box::new(move |inside| drop(tell.send(what(inside))));
        self.ask.send(ask).map_err(|_| gone())?;
        told.recv().map_err(|_| gone())?
    }

    /// A socket in there that does not block, with an address.
    ///
    /// # Errors
    /// As of socket(2) and bind(2).
    pub fn socket(&self, kind: SocketType, at: SocketAddr) -> io::Result<OwnedFd> {
        self.ask(move |_| {
            let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let socket = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
            bind(&socket, &at)?;
            Ok(socket)
        })
    }

    /// From now on these are its networks.
    ///
    /// # Errors
    /// Of the kernel.
    pub fn replace(&self, networks: Vec<Network>) -> io::Result<()> {
        self.ask(move |inside| inside.replace(&networks))
    }
}

impl Inside {
    fn replace(&mut self, networks: &[Network]) -> io::Result<()> {
        let own: BTreeSet<Ipv4Addr> = networks.iter().map(|network| network.own).collect();
        for address in own.difference(&self.own) {
            self.netlink.address(self.index, *address, true)?;
        }
        let first = networks.first().map(|network| network.own);
        self.netlink.route(self.index, Ipv4Addr::UNSPECIFIED, 0, first)?;
        for network in networks {
            self.netlink.route(self.index, network.first(), network.prefix, Some(network.own))?;
        }
        for address in self.own.difference(&own) {
            self.netlink.address(self.index, *address, false)?;
        }
        self.own = own;
        Ok(())
    }
}

fn enter() -> io::Result<(Inside, OwnedFd, OwnedFd, TcpListener)> {
    let failed =
        |what: &'static str| move |error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"));
    unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| failed("a network namespace")(errno.into()))?;
    let namespace =
        File::open("/proc/thread-self/ns/net").map_err(failed("/proc/thread-self/ns/net"))?.into();
    let device = kernel::open_tun(DEVICE).map_err(failed("/dev/net/tun"))?;
    let configure = || {
        let netlink = Netlink::open()?;
        netlink.set_up("lo", None)?;
        let index = netlink.set_up(DEVICE, Some(tuning::MTU))?;
        netlink.address(index, AGENT, true)?;
        netlink.route(index, Ipv4Addr::UNSPECIFIED, 0, None)?;
        Ok(Inside { netlink, index, own: BTreeSet::new() })
    };
    let inside = configure().map_err(failed("netlink"))?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let listener = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    bind(&listener, &SocketAddr::from((AGENT, 0)))?;
    listen(&listener, tuning::BACKLOG)?;
    Ok((inside, namespace, device, listener.into()))
}

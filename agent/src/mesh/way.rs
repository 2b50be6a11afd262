//! The ladder: the ways of catching a container's connections.
//!
//! 1. `seccomp`: calls are caught ([`Mesh`]). First, since what is not for other containers keeps its own way.
//! 2. `tun`: packets are caught, in a network namespace of the container's own ([`Tun`]). Programs of any kind are caught, but
//!    all that leaves the container goes through the agent, too; it needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN, and
//!    /dev/net/tun.
//! 3. `loopback`: listeners that stand for the others' ports ([`Loopback`]), and `/etc/hosts`, which root alone may write.

use std::{collections::BTreeSet, io, net::Ipv4Addr, rc::Rc};

use sockerless_agent_wire::mesh::{MeshView, Rung};
use sockerless_mesh::{Loopback, Mesh, Tun, loopback::OWN_SEAT, probe};
use tokio::task::spawn_local;

use super::{Catcher, catching};
use crate::{process::Catch, say, shared::Shared};

/// What was found.
pub enum Way {
    Seccomp(Mesh),
    Tun(Tun),
    Loopback(Rc<Loopback>),
    /// Nothing works here.
    None,
}

const LADDER: [Rung; 3] = [Rung::Seccomp, Rung::Tun, Rung::Loopback];

impl Way {
    /// Tries what is asked for, or one after the other; says which it is.
    pub fn find(catcher: &Catcher, shared: &Rc<Shared>, asked: Option<Rung>) -> Self {
        let mut problems = Vec::new();
        let asked = asked.filter(|rung| *rung != Rung::None);
        for rung in LADDER.into_iter().filter(|rung| asked.is_none_or(|asked| asked == *rung)) {
            let (name, way) = match rung {
                Rung::Seccomp => ("seccomp", seccomp(catcher)),
                Rung::Tun => ("tun", tun(catcher, shared)),
                Rung::Loopback => ("loopback", loopback(catcher, shared)),
                Rung::None => continue,
            };
            match way {
                Ok(way) => return way,
                Err(problem) => problems.push(format!("{name}: {problem}")),
            }
        }
        let warning = format!("this container cannot reach others: {}", problems.join("; "));
        shared.set_catching(catching(Rung::None, warning));
        Self::None
    }

    /// How a process is caught; none for what needs nothing of it. Errors: without descriptors.
    pub fn catch(&self) -> io::Result<Option<Catch>> {
        match self {
            Self::Seccomp(_) => Ok(Some(Catch::Filter)),
            Self::Tun(tun) => Ok(Some(Catch::Namespace(tun.namespace()?))),
            Self::Loopback(_) | Self::None => Ok(None),
        }
    }

    /// Others have come or gone.
    pub fn see(&self, view: &MeshView) {
        match self {
            Self::Loopback(loopback) => loopback.replace(&peers(view)),
            Self::Tun(tun) => {
                if let Err(error) = tun.replace() {
                    say!("the container's addresses cannot be set: {error}");
                }
            }
            Self::Seccomp(_) | Self::None => {}
        }
    }
}

fn seccomp(catcher: &Catcher) -> Result<Way, String> {
    probe().seccomp?;
    let mesh = Mesh::start(Rc::clone(&catcher.line), catcher.addresses.clone());
    mesh.map(Way::Seccomp).map_err(|error| error.to_string())
}

fn tun(catcher: &Catcher, shared: &Rc<Shared>) -> Result<Way, String> {
    let tun = Tun::start(Rc::clone(&catcher.line), catcher.addresses.clone());
    let tun = tun.map_err(|error| error.to_string())?;
    shared.set_catching(catching(Rung::Tun, String::new()));
    Ok(Way::Tun(tun))
}

fn loopback(catcher: &Catcher, shared: &Rc<Shared>) -> Result<Way, String> {
    catcher.etc.is_writable()?;
    let loopback = Rc::new(Loopback::start(Rc::clone(&catcher.line)));
    if let Some(view) = &shared.state().view {
        loopback.replace(&peers(view));
    }
    let mut clashes = loopback.clashes();
    let (shared, told) = (Rc::clone(shared), Rc::clone(&catcher.names));
    let seats = Rc::downgrade(&loopback);
    spawn_local(async move {
        loop {
            let clashing = clashes.borrow_and_update().clone();
            let Some(seats) = seats.upgrade() else { return };
            let named = clashing.iter().map(|clash| {
                let peer = seats.behind(*clash.ip());
                let name = peer.and_then(|peer| told.of(peer)).unwrap_or_else(|| clash.ip().to_string());
                format!("{name}:{}", clash.port())
            });
            let named: Vec<String> = named.collect();
            drop(seats);
            let mut warning =
                "other containers are reached by name and TCP alone, by listeners on loopback addresses: a server of this \
                 container's finds their ports taken"
                    .to_owned();
            if !named.is_empty() {
                warning += &format!(
                    "; not reached, since this container listens there itself: {}",
                    named.join(", ")
                );
            }
            shared.set_catching(catching(Rung::Loopback, warning));
            if clashes.changed().await.is_err() {
                return;
            }
        }
    });
    Ok(Way::Loopback(loopback))
}

/// Whose ports have listeners here.
fn peers(view: &MeshView) -> BTreeSet<Ipv4Addr> {
    let all = view.networks.iter().flat_map(|network| network.names.values().flatten());
    all.copied().filter(|address| !view.is_own(*address)).collect()
}

/// What stands for an address on this rung.
pub fn seat(loopback: &Loopback, view: &MeshView, address: Ipv4Addr) -> Ipv4Addr {
    if view.is_own(address) { OWN_SEAT } else { loopback.seat(address) }
}

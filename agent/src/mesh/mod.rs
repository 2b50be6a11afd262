//! The container's connections to other containers: what the daemon said of them, and the line as their way.
//!
//! How connections are caught is a ladder, tried once, when the first process is to be caught: `seccomp`, `tun`, `loopback`
//! (see [`way`]); the daemon may ask for one of them.

mod etc;
mod fabric;
mod hosts;
mod names;
mod resolver;
mod way;

use std::{
    cell::OnceCell,
    io,
    net::{IpAddr, Ipv4Addr},
    rc::Rc,
};

use sockerless_agent_wire::mesh::{Catching, MeshView, Rung};
use sockerless_mesh::{Addresses, Network, Privileges};
use tokio::task::spawn_local;

use self::{etc::Etc, fabric::Line, hosts::Seats, names::Names, way::Way};
use crate::{
    process::{Catch, Caught},
    say,
    shared::Shared,
    work::dial,
};

/// What catches connections of a process that is about to be started, and knows of all that the daemon has said; none if they
/// are not to be caught.
pub fn catcher(shared: &Rc<Shared>) -> Option<Rc<Catcher>> {
    let view = shared.state().view.clone()?;
    let catcher = of(shared);
    catcher.see(&view);
    if view.catch {
        catcher.way.get_or_init(|| Way::find(&catcher, shared, view.rung));
        return Some(catcher);
    }
    None
}

/// As [`catcher`], for the container's own process: the files that tell names are written for it.
pub fn prepare(shared: &Rc<Shared>) -> Option<Rc<Catcher>> {
    let catcher = catcher(shared);
    if let Some(view) = &shared.state().view {
        let known = of(shared);
        known.etc.begin(view, known.lines(view));
    }
    catcher
}

fn of(shared: &Rc<Shared>) -> Rc<Catcher> {
    let catcher = shared.catcher.get_or_init(|| {
        let catcher = Rc::new(Catcher::new(shared));
        spawn_local(Rc::clone(&catcher).keep_up(Rc::clone(shared)));
        catcher
    });
    Rc::clone(catcher)
}

/// Takes what the container's processes send to others.
pub struct Catcher {
    addresses: Addresses,
    names: Rc<Names>,
    line: Rc<Line>,
    etc: Etc,
    /// None as long as nothing was to be caught.
    way: OnceCell<Way>,
}

impl Catcher {
    fn new(shared: &Rc<Shared>) -> Self {
        let etc = Etc::new(shared.etc.get().map(std::path::PathBuf::as_path));
        let names = Rc::new(Names::new(etc.name_servers()));
        let line = Rc::new(Line::new(Rc::clone(shared), Rc::clone(&names)));
        Self { addresses: Addresses::default(), names, line, etc, way: OnceCell::new() }
    }

    /// Keeps up with what the daemon says.
    async fn keep_up(self: Rc<Self>, shared: Rc<Shared>) {
        loop {
            let view = shared.mesh().await;
            self.see(&view);
        }
    }

    /// From now on this holds.
    fn see(&self, view: &Rc<MeshView>) {
        let networks = view.networks.iter();
        let networks = networks.map(|network| Network {
            subnet: network.subnet,
            prefix: network.prefix,
            own: network.address,
        });
        self.names.replace(Rc::clone(view));
        self.addresses.replace(networks.collect());
        self.addresses.replace_beside(view.pod.clone());
        if let Some(way) = self.way.get() {
            way.see(view);
        }
        self.etc.update(self.lines(view));
    }

    /// What `/etc/hosts` is to say.
    fn lines(&self, view: &MeshView) -> Vec<String> {
        match self.way.get() {
            Some(Way::Seccomp(_) | Way::Tun(_)) => hosts::lines(view, Seats::Virtual),
            Some(Way::Loopback(loopback)) => {
                let seat = |address| way::seat(loopback, view, address);
                hosts::lines(view, Seats::For(&seat))
            }
            Some(Way::None) | None => hosts::lines(view, Seats::Alone(own_address())),
        }
    }

    /// How the next process is caught.
    pub fn catch(&self, shared: &Shared) -> Option<Catch> {
        match self.way.get()?.catch() {
            Ok(catch) => catch,
            Err(error) => {
                let warning = format!("this container cannot reach others: {error}");
                shared.set_catching(catching(Rung::None, warning));
                None
            }
        }
    }

    /// Where the container's processes are reached, if that is not where the agent is.
    pub fn tun(&self) -> Option<&sockerless_mesh::Tun> {
        match self.way.get() {
            Some(Way::Tun(tun)) => Some(tun),
            _ => None,
        }
    }

    /// A process has a filter, or should have.
    pub fn watch(&self, shared: &Shared, caught: Caught) {
        let caught = caught.and_then(|(listener, privileges)| match self.way.get() {
            Some(Way::Seccomp(mesh)) => mesh.watch(listener).map(|()| privileges),
            _ => Err(io::Error::other("the agent has no mesh")),
        });
        shared.set_catching(match caught {
            Ok(Privileges::Kept) => catching(Rung::Seccomp, String::new()),
            Ok(Privileges::Forgone) => catching(
                Rung::Seccomp,
                "setuid programs run with their caller's rights in this container: its network needs that here"
                    .to_owned(),
            ),
            Err(error) => catching(Rung::None, format!("this container cannot reach others: {error}")),
        });
    }
}

/// Says a warning in the agent's log, too.
fn catching(rung: Rung, warning: String) -> Catching {
    if !warning.is_empty() {
        say!("{warning}");
    }
    Catching { rung, warning }
}

/// What the container's own name leads to where its virtual address leads nowhere.
fn own_address() -> IpAddr {
    let own = dial::own().into_iter().find(IpAddr::is_ipv4);
    // As Debian has it for machines without a network.
    own.unwrap_or(IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1)))
}

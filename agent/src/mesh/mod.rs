//! The container's connections to other containers: what the daemon said of them, and the line as their way.

mod fabric;
mod names;

use std::{io, rc::Rc};

use sockerless_agent_wire::mesh::{Catching, MeshView, Rung};
use sockerless_mesh::{Addresses, Mesh, Network, Privileges};
use tokio::task::spawn_local;

use self::{fabric::Line, names::Names};
use crate::{process::Caught, say, shared::Shared};

/// What catches connections of a process that is about to be started, and knows of all that the daemon has said; none if they
/// are not to be caught.
pub fn catcher(shared: &Rc<Shared>) -> Option<Rc<Catcher>> {
    let view = shared.state().view.clone().filter(|view| view.catch)?;
    let catcher = shared.catcher.get_or_init(|| {
        let catcher = Rc::new(Catcher::start(shared));
        spawn_local(Rc::clone(&catcher).keep_up(Rc::clone(shared)));
        catcher
    });
    catcher.see(&view);
    Some(Rc::clone(catcher))
}

/// Takes what the filters of the container's processes catch.
pub struct Catcher {
    addresses: Addresses,
    names: Rc<Names>,
    /// None where it cannot be had.
    mesh: Option<Mesh>,
}

impl Catcher {
    /// Begins; once.
    pub fn start(shared: &Rc<Shared>) -> Self {
        let (addresses, names) = (Addresses::default(), Rc::<Names>::default());
        let line = Line::new(Rc::clone(shared), Rc::clone(&names));
        let mesh = Mesh::start(Rc::new(line), addresses.clone());
        let mesh = mesh.inspect_err(|error| say!("other containers cannot be reached: {error}")).ok();
        Self { addresses, names, mesh }
    }

    /// Keeps up with what the daemon says.
    pub async fn keep_up(self: Rc<Self>, shared: Rc<Shared>) {
        loop {
            let view = shared.mesh().await;
            self.see(&view);
        }
    }

    /// From now on this holds.
    pub fn see(&self, view: &Rc<MeshView>) {
        let networks = view.networks.iter();
        let networks = networks.map(|network| Network {
            subnet: network.subnet,
            prefix: network.prefix,
            own: network.address,
        });
        self.names.replace(Rc::clone(view));
        self.addresses.replace(networks.collect());
    }

    /// A process has a filter, or should have.
    pub fn watch(&self, shared: &Shared, caught: Caught) {
        let caught = caught.and_then(|(listener, privileges)| match &self.mesh {
            Some(mesh) => mesh.watch(listener).map(|()| privileges),
            None => Err(io::Error::other("the agent has no mesh")),
        });
        let catching = match caught {
            Ok(Privileges::Kept) => Catching { rung: Rung::Seccomp, warning: String::new() },
            Ok(Privileges::Forgone) => Catching {
                rung: Rung::Seccomp,
                warning: "setuid programs run with their caller's rights in this container: its network needs that here"
                    .to_owned(),
            },
            Err(error) => Catching {
                rung: Rung::None,
                warning: format!("this container cannot reach others: {error}"),
            },
        };
        if !catching.warning.is_empty() {
            say!("{}", catching.warning);
        }
        shared.set_catching(catching);
    }
}

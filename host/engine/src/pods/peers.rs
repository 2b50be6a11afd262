//! Who is in the same job: reached by localhost, and by name without the mesh.

use std::{net::Ipv4Addr, sync::Arc};

use sockerless_ports::link::RunId;

use super::Pod;
use crate::Engine;

impl Engine {
    fn pod_of(&self, run: &RunId) -> Option<Arc<Pod>> {
        let state = &self.containers.get(&run.container)?.view().state;
        self.pods.of(run, state.host)
    }

    /// Whether a run shares its network stack with others.
    pub(crate) fn is_in_pod(&self, run: &RunId) -> bool {
        self.pod_of(run).is_some()
    }

    /// The addresses of the others that run in the same job.
    pub(crate) fn pod_addresses(&self, run: &RunId) -> Vec<Ipv4Addr> {
        let Some(pod) = self.pod_of(run) else { return Vec::new() };
        let others = pod.members.iter().filter(|other| other.container != run.container);
        let views = others.filter_map(|other| {
            let view = self.containers.get(&other.container)?.view();
            (view.state.host == other.generation).then_some(view)
        });
        let mut all: Vec<Ipv4Addr> = views
            .flat_map(|view| {
                view.state.active().iter().filter_map(|endpoint| endpoint.address).collect::<Vec<_>>()
            })
            .collect();
        all.sort_unstable();
        all
    }
}

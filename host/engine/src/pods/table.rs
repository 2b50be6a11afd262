//! The pods that have a job.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sockerless_ports::link::RunId;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::{Pod, Seat, key::Key};
use crate::Engine;

/// A pod with its agents' places.
type Occupied = (Arc<Pod>, Vec<Arc<Seat>>);

/// All pods that have a job, or are about to have one, with their agents' places.
#[derive(Default)]
pub(crate) struct Pods {
    pods: Mutex<Vec<Occupied>>,
    /// Those that were taken out, until what their places were made for can be done elsewhere.
    closing: Mutex<Vec<Arc<Pod>>>,
    /// One pod of a key is opened at a time.
    gates: Mutex<HashMap<Key, Arc<AsyncMutex<()>>>>,
}

impl Pods {
    // Each change of the list is whole before anything in it can panic.
    fn pods(&self) -> MutexGuard<'_, Vec<Occupied>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while it is decided in which job a container of this key runs.
    pub async fn gate(&self, key: &Key) -> OwnedMutexGuard<()> {
        let gate = {
            let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody holds or awaits are of no use any more.
            gates.retain(|_, gate| Arc::strong_count(gate) > 1);
            Arc::clone(gates.entry(key.clone()).or_default())
        };
        gate.lock_owned().await
    }

    pub fn insert(&self, pod: Arc<Pod>, seats: Vec<Arc<Seat>>) {
        self.pods().push((pod, seats));
    }

    /// Whether containers of this key have a job that any of them still needs.
    pub fn has(&self, key: &Key, engine: &Engine) -> bool {
        let pods = self.pods();
        let mut same = pods.iter().filter(|(pod, _)| pod.key.as_ref() == Some(key));
        same.any(|(_, seats)| seats.iter().any(|seat| seat.is_needed(engine)))
    }

    /// Takes the place that waits for a run, if there is one. Its pod is not closed before [`Seat::rise`].
    pub fn take(&self, run: &RunId) -> Option<Arc<Seat>> {
        let pods = self.pods();
        let mut seats = pods.iter().flat_map(|(_, seats)| seats);
        let taken = seats.find(|seat| seat.run == *run && seat.take());
        taken.cloned()
    }

    /// The same for a run that was under way when the daemon ended.
    pub fn take_again(&self, host: &RunId) -> Option<Arc<Seat>> {
        let pods = self.pods();
        let found = pods.iter().flat_map(|(_, seats)| seats).find(|seat| seat.run == *host).cloned();
        if let Some(seat) = &found {
            seat.take_again();
        }
        found
    }

    /// The places that were made for a container.
    pub fn seats_of(&self, container: &str) -> Vec<Arc<Seat>> {
        let pods = self.pods();
        let seats = pods.iter().flat_map(|(_, seats)| seats);
        seats.filter(|seat| seat.run.container == container).cloned().collect()
    }

    /// Whether the agent of any other member is connected.
    pub fn any_connected(&self, pod: &Arc<Pod>, than: usize) -> bool {
        let pods = self.pods();
        let mut seats = pods.iter().filter(|(known, _)| Arc::ptr_eq(known, pod)).flat_map(|(_, seats)| seats);
        seats.any(|seat| seat.index != than && seat.is_connected())
    }

    /// The pod in whose job a run is.
    pub fn of(&self, run: &RunId, host: u32) -> Option<Arc<Pod>> {
        let pods = self.pods();
        let mut all = pods.iter().map(|(pod, _)| pod);
        all.find(|pod| {
            pod.members.iter().any(|member| member.container == run.container && member.generation == host)
        })
        .cloned()
    }

    /// Something about a container has changed.
    pub fn poke(&self, container: &str) {
        for (pod, _) in self.pods().iter() {
            if pod.members.iter().any(|run| run.container == container) {
                pod.poke();
            }
        }
    }

    /// Takes a pod out when nobody needs its job any more; gives its places, which nobody can take from then on.
    pub fn close(&self, pod: &Arc<Pod>, engine: &Engine) -> Option<Vec<Arc<Seat>>> {
        let mut pods = self.pods();
        let index = pods.iter().position(|(known, _)| Arc::ptr_eq(known, pod))?;
        let (_, seats) = &pods[index];
        if seats.iter().any(|seat| seat.is_taken() || seat.is_needed(engine)) {
            return None;
        }
        self.closing().push(Arc::clone(pod));
        Some(pods.swap_remove(index).1)
    }

    /// A pod is closed for the next daemon, too, and its agents are dismissed.
    pub fn closed(&self, pod: &Arc<Pod>) {
        self.closing().retain(|known| !Arc::ptr_eq(known, pod));
        pod.closed.cancel();
    }

    /// Waits for pods that had a place for a run and are being closed: the next daemon would have it wait there, and the agent
    /// of that place has its name.
    pub async fn settled(&self, run: &RunId) {
        let closing: Vec<_> =
            self.closing().iter().filter(|pod| pod.members.contains(run)).cloned().collect();
        for pod in closing {
            pod.closed.cancelled().await;
        }
    }

    fn closing(&self) -> MutexGuard<'_, Vec<Arc<Pod>>> {
        self.closing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

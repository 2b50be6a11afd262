//! A pod's job from its making to its end.

use std::sync::Arc;

use futures_util::future;

use super::{Pod, Seat, pod::Progress};
use crate::{
    Engine,
    supervisor::{Attempt, Cloud, Intent},
    tuning,
};

impl Engine {
    /// Makes the job, waits until nobody needs it, and deletes it.
    pub(super) async fn look_after_pod(self: &Arc<Self>, pod: &Arc<Pod>) {
        let Some(intent) = pod.ledger.get().await else { return };
        let attempt = match self.cloud(&pod.backend) {
            Ok(cloud) => self.bring_up_pod(&Arc::clone(cloud), pod, &intent).await,
            Err(error) => {
                pod.proceed(Progress::Failed(error.message));
                Attempt::Unknown
            }
        };
        let seats = self.unneeded(pod).await;
        // Before anything else: its members may be started elsewhere from now on, which the next daemon must not undo.
        if let Err(error) = pod.ledger.change(self, |intent| intent.closed = true).await {
            tracing::error!(job = pod.job, %error, "that a pod is closed could not be kept");
        }
        pod.over.cancel();
        for seat in &seats {
            self.link.dismiss(&seat.name());
        }
        self.pods.closed(pod);
        self.close_pod(pod, &seats, attempt).await;
    }

    /// Gives what is to be deleted in the end.
    async fn bring_up_pod(self: &Arc<Self>, cloud: &Arc<Cloud>, pod: &Arc<Pod>, intent: &Intent) -> Attempt {
        if let Some(handle) = intent.handle.clone().filter(|handle| handle.started) {
            pod.proceed(Progress::Up(handle));
            return Attempt::Latest;
        }
        let (engine, members) = (Arc::clone(self), Arc::clone(pod));
        let is_over = move || !engine.is_pod_needed(&members);
        match self.bring_up(cloud, &pod.ledger, intent, &is_over).await {
            Ok(handle) => {
                pod.proceed(Progress::Up(handle));
                Attempt::Latest
            }
            Err((attempt, error)) => {
                for run in &pod.members {
                    if let Some(entry) = self.containers.get(&run.container) {
                        cloud.forget(self.registry.as_ref(), &entry.spec).await;
                    }
                }
                // The answers were lost, but the job is there: processes run already.
                if pod.is_up(self)
                    && let Ok(Some(handle)) = self.find_job(cloud, &pod.job).await
                {
                    pod.proceed(Progress::Up(handle));
                    return Attempt::Latest;
                }
                let message = error.map_or_else(|| "the job was given up".to_owned(), |error| error.message);
                pod.proceed(Progress::Failed(message));
                attempt
            }
        }
    }

    fn is_pod_needed(&self, pod: &Pod) -> bool {
        pod.members.iter().any(|run| {
            let entry = self.containers.get(&run.container);
            entry.is_some_and(|entry| entry.view().state.needs_job(run.generation))
        })
    }

    /// Waits until nobody needs the job any more, and takes the pod out.
    async fn unneeded(&self, pod: &Arc<Pod>) -> Vec<Arc<Seat>> {
        let mut changed = pod.changes();
        loop {
            changed.borrow_and_update();
            if let Some(seats) = self.pods.close(pod, self) {
                return seats;
            }
            // The sender lives as long as the pod.
            let _ = changed.changed().await;
        }
    }

    async fn close_pod(&self, pod: &Arc<Pod>, seats: &[Arc<Seat>], attempt: Attempt) {
        let runs: Vec<_> = seats.iter().filter_map(|seat| seat.last_runner()).collect();
        if !runs.iter().any(|run| *run.busy.borrow()) {
            let gone = future::join_all(seats.iter().map(|seat| seat.line_is(false)));
            let _ = tokio::time::timeout(tuning::FAREWELL, gone).await;
        }
        let Some(intent) = pod.ledger.get().await else { return };
        if self.dissolve(&intent, attempt, &runs).await {
            runs.iter().for_each(|run| self.runs.leave(run));
            seats.iter().for_each(|seat| seat.part());
        }
    }
}

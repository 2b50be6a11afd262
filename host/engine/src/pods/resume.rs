//! A pod whose daemon has ended and was started again.

use std::sync::Arc;

use sockerless_ports::link::RunId;

use super::Seat;
use crate::{
    Engine,
    life::Phase,
    supervisor::{Intent, SeatRecord},
};

impl Engine {
    /// Lets the agents of a pod's job in again, and goes on with the job.
    pub(crate) fn resume_pod(self: &Arc<Self>, mut intent: Intent) {
        for seat in &mut intent.seats {
            if let Some(entry) = self.containers.get(&seat.run.container) {
                let state = &entry.view().state;
                if state.needs_job(seat.run.generation) {
                    seat.serves = state.serves;
                }
            }
        }
        let mut views = intent.seats.iter().filter_map(|seat| self.containers.get(&seat.run.container));
        let key = views.find_map(|entry| self.pod_key(&entry.view()));
        let waits = |seat: &SeatRecord| {
            self.containers.get(&seat.run.container).is_some_and(|entry| {
                let state = &entry.view().state;
                state.generation < seat.run.generation
                    && !matches!(state.phase, Phase::Removing | Phase::Dead)
            })
        };
        let waiting: Vec<RunId> =
            intent.seats.iter().filter(|seat| waits(seat)).map(|seat| seat.run.clone()).collect();
        self.seat_agents(key, intent, |seat| waiting.contains(&seat.run));
    }

    /// The place of a run that was under way when the daemon ended.
    pub(crate) fn seat_again(&self, host: &RunId) -> Option<Arc<Seat>> {
        self.pods.take_again(host)
    }
}

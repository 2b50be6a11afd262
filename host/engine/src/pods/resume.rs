//! A pod whose daemon has ended and was started again.

use std::sync::Arc;

use sockerless_ports::link::{Output, RunId};

use super::{Seat, seat::place};
use crate::{
    Engine,
    life::Phase,
    supervisor::{Intent, SeatRecord},
};

impl Engine {
    /// Lets the agents of a pod's job in again, and goes on with the job.
    pub(crate) async fn resume_pod(self: &Arc<Self>, mut intent: Intent) {
        for seat in &mut intent.seats {
            if let Some(entry) = self.containers.get(&seat.run.container) {
                let state = &entry.view().state;
                if state.needs_job(seat.run.generation) && seat.serves != state.serves {
                    (seat.serves, seat.kept) = (state.serves, [0; 2]);
                }
            }
            let run = RunId { generation: seat.serves, ..seat.run.clone() };
            for output in [Output::Stdout, Output::Stderr] {
                let kept = &mut seat.kept[place(output)];
                *kept = self.logs.length(&run, output).await.unwrap_or(0).max(*kept);
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

//! The time after an end, in which the agent stays.

use super::{Effect, Event, Phase, Report, step::Life};

const LOST: &str = "the container's agent was lost before what the container had changed in its file system was saved: \
                    the next start begins without it";

impl Life<'_> {
    /// What happens to a container that does not run.
    pub fn afterwards(&mut self, event: &Event) {
        let generation = self.state.serves;
        match event {
            Event::RestartDue { agent, .. } => {
                // What is being saved comes first: its end leads here again.
                let saving = self.state.linger.is_some_and(|linger| linger.saving);
                if self.state.phase == Phase::Restarting && !saving {
                    self.state.restarts.due = None;
                    self.state.restarts.automatic = true;
                    self.begin(*agent);
                }
            }
            Event::LingerOver { until, .. } => {
                // The agent may have been granted more time since the timer was set.
                let over = self.state.linger.is_some_and(|linger| {
                    !linger.saving && linger.until.is_some_and(|deadline| deadline <= *until)
                });
                if over {
                    self.save(generation);
                }
            }
            Event::Leaving { .. } => self.save(generation),
            Event::Saved { result, .. } if self.state.linger.is_some_and(|linger| linger.saving) => {
                self.state.unsaved = result.clone().err().unwrap_or_default();
                self.let_go();
            }
            // The job has ended, or nothing is known of it.
            Event::Cloud { report: Report::Ended { .. }, .. } | Event::Interrupted { .. }
                if self.state.linger.is_some() =>
            {
                if !self.rules.auto_remove {
                    LOST.clone_into(&mut self.state.unsaved);
                }
                self.let_go();
            }
            _ => {}
        }
    }

    pub fn save(&mut self, generation: u32) {
        let Some(linger) = self.state.linger.as_mut().filter(|linger| !linger.saving) else { return };
        if self.rules.auto_remove && !self.state.resized {
            // It would be gone, had not a restart been asked for.
            return self.let_go();
        }
        linger.saving = true;
        self.effects.push(Effect::Save { generation });
    }

    /// A job cannot be resized: the next start takes place in another one, with what is saved of this one.
    pub fn resized(&mut self) {
        if self.state.is_live() || self.state.linger.is_some() {
            self.state.resized = true;
        }
        if self.state.phase == Phase::Exited {
            self.save(self.state.serves);
        }
    }

    /// The agent may go.
    pub fn let_go(&mut self) {
        let Some(linger) = self.state.linger.take() else { return };
        self.effects.push(Effect::Release { host: self.state.host });
        if let (true, Phase::Restarting, Some(due)) =
            (linger.saving, self.state.phase, self.state.restarts.due)
        {
            self.effects.push(Effect::AwaitRestart { generation: self.state.generation, due });
        }
    }
}

//! The line to the daemon: dialled, lost, dialled again.

mod dial;
mod session;
mod tls;

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use ring::rand::{SecureRandom, SystemRandom};
use sockerless_agent_wire::Key;
use tokio::time::sleep;

use crate::{
    say,
    settings::Settings,
    shared::{Refusal, Shared},
    tuning,
};

/// Why a connection ended, or did not come about.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    #[error("cannot reach the daemon: {0}")]
    Unreachable(String),
    #[error("the daemon closed the connection")]
    Closed,
    #[error("nothing was heard from the daemon")]
    Silent,
    #[error("the daemon refused this agent: {}", .0.reason)]
    Refused(Refusal),
    #[error(transparent)]
    Violation(#[from] sockerless_agent_wire::Violation),
    #[error(transparent)]
    Socket(#[from] Box<tokio_tungstenite::tungstenite::Error>),
}

/// Keeps the line up until the daemon refuses this agent for good.
pub async fn keep(shared: Rc<Shared>, settings: Settings) {
    let random = SystemRandom::new();
    let mut bytes = [0; 32];
    if random.fill(&mut bytes).is_err() {
        shared.state().refused = Some("there is no randomness to make a secret of".to_owned());
        return shared.notify();
    }
    let secret = Key::new(bytes);
    let dialler = match dial::Dialler::new(&settings.url, settings.fingerprint) {
        Ok(dialler) => dialler,
        Err(problem) => {
            shared.state().refused = Some(problem);
            return shared.notify();
        }
    };
    let mut pause = Pause::new();
    let mut unwanted: Option<Instant> = None;
    loop {
        let lost = session::run(&shared, &dialler, &settings.ticket, &secret).await;
        if std::mem::take(&mut shared.state().connected) {
            pause = Pause::new();
            unwanted = None;
        }
        if let Lost::Refused(refusal) = &lost {
            let since = *unwanted.get_or_insert_with(Instant::now);
            if !refusal.again || since.elapsed() >= tuning::UNWANTED {
                // What that means, and whether it is worth saying, depends on what the agent is doing.
                shared.state().refused = Some(refusal.reason.clone());
                return shared.notify();
            }
        }
        if pause.is_first() {
            say!("{lost}; trying again");
        }
        // Output may take more memory now.
        shared.notify();
        sleep(pause.next(&random)).await;
    }
}

/// Doubling pauses, each shortened at random, so that many agents do not come at once.
struct Pause(Duration);

impl Pause {
    fn new() -> Self {
        Self(tuning::PAUSE_FIRST)
    }

    fn is_first(&self) -> bool {
        self.0 == tuning::PAUSE_FIRST
    }

    fn next(&mut self, random: &SystemRandom) -> Duration {
        let mut byte = [0];
        // Without randomness the pause is just not shortened.
        let _ = random.fill(&mut byte);
        let pause = self.0.mul_f64(1.0 - f64::from(byte[0]) / 512.0);
        self.0 = (self.0 * 2).min(tuning::PAUSE_MOST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_vary() {
        let random = SystemRandom::new();
        let mut pause = Pause::new();
        let mut full = tuning::PAUSE_FIRST;
        for _ in 0..12 {
            let next = pause.next(&random);
            assert!(next > full / 3 && next <= full);
            full = (full * 2).min(tuning::PAUSE_MOST);
        }
        assert_eq!(full, tuning::PAUSE_MOST);
    }
}

//! How a connection between two containers comes about.

use std::sync::Arc;

use sockerless_agent_wire::mesh::{Connected, Reach, Target};
use sockerless_ports::link::{LinkError, Route};

use super::{Note, Word, deliver};
use crate::{AgentLink, run::Run};

/// A process wants to connect.
#[derive(Debug, Clone, Copy)]
pub struct Connect {
    /// The channel that its agent has opened.
    pub channel: u32,
    pub target: Target,
}

/// Asks the engine for the way, and the other run's agent for the other end. What comes of it is told to the agent that asks,
/// now or later. No state may be locked.
pub fn join(link: &AgentLink, run: &Arc<Run>, Connect { channel, target }: Connect) {
    let refused = match link.route(&run.id, target.address) {
        Route::To { run: peer, from } => match link.run(&peer) {
            Ok(peer) => ask(run, channel, &peer, target, from),
            // It has just ended.
            Err(LinkError::Unknown | LinkError::Closed) => Some(Connected::Unreachable),
        },
        Route::Nobody => Some(Connected::Unreachable),
        Route::Foreign => {
            let times = run.state().mesh.note_foreign();
            // Said seldom, however often it is tried.
            if times.is_power_of_two() {
                tracing::warn!(
                    run = %run.id, address = %target.address, port = target.port, times,
                    "an agent asked for a connection to a network that its container is not on: refused"
                );
            }
            Some(Connected::Unreachable)
        }
    };
    if let Some(outcome) = refused {
        deliver([Note { to: Arc::downgrade(run), channel, word: Word::Connected(outcome) }]);
    }
}

/// Gives why it cannot be, if that is known at once.
fn ask(
    run: &Arc<Run>,
    channel: u32,
    peer: &Arc<Run>,
    target: Target,
    from: std::net::Ipv4Addr,
) -> Option<Connected> {
    let asked = {
        let mut state = peer.state();
        if state.mesh.is_missing() {
            tracing::warn!(run = %peer.id, "a container's agent is too old to be connected to: start it anew");
            return Some(Connected::Unreachable);
        }
        state.relay.ask(Arc::downgrade(run), channel, |window| Reach { from, target, window })
    };
    let other = match asked {
        Ok(Some(other)) => other,
        Ok(None) => {
            tracing::warn!(run = %peer.id, "a container has as many connections as it can have");
            return Some(Connected::TimedOut);
        }
        // A request of fixed size is never too long.
        Err(_) => return Some(Connected::TimedOut),
    };
    if run.state().relay.lead(channel, Arc::downgrade(peer), other) {
        peer.to_send.notify_one();
    } else {
        // The run that asked has ended meanwhile.
        deliver([Note { to: Arc::downgrade(peer), channel: other, word: Word::HungUp }]);
    }
    None
}

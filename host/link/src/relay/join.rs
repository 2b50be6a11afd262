//! How a connection that a container's process wants comes about.

use std::{net::SocketAddr, sync::Arc};

use sockerless_agent_wire::{
    mesh::{Connected, Reach, Target},
    request::Protocol,
};
use sockerless_ports::link::{LinkError, Route};

use super::{
    Note, Peer, Word, deliver,
    outside::{self, Place},
};
use crate::{AgentLink, run::Run};

/// A process wants to connect.
#[derive(Debug, Clone, Copy)]
pub struct Connect {
    /// The channel that its agent has opened.
    pub channel: u32,
    pub wanted: Wanted,
}

/// Where to.
#[derive(Debug, Clone, Copy)]
pub enum Wanted {
    /// To an address of a network that its container is on.
    Container(Target),
    /// To the daemon's API.
    Api,
}

/// Asks the engine for the way, and whoever has the other end for it. What comes of it is told to the agent that asks, now or
/// later. No state may be locked.
pub fn join(link: &AgentLink, run: &Arc<Run>, Connect { channel, wanted }: Connect) {
    let refused = match wanted {
        Wanted::Container(target) => reach(link, run, channel, target),
        Wanted::Api => match link.api(&run.id) {
            Some(path) => out(run, channel, Place::Unix(path)),
            None => {
                warn(
                    run,
                    &"an agent asked for the daemon's API, which is not mounted into its container: refused",
                );
                Some(Connected::Refused)
            }
        },
    };
    if let Some(outcome) = refused {
        let to = Peer::Run(Arc::downgrade(run));
        deliver([Note { to, channel, word: Word::Connected(outcome) }]);
    }
}

/// Gives why it cannot be, if that is known at once.
fn reach(link: &AgentLink, run: &Arc<Run>, channel: u32, target: Target) -> Option<Connected> {
    match link.route(&run.id, target.address) {
        Route::To { run: peer, from } => match link.run(&peer) {
            Ok(peer) => ask(run, channel, &peer, target, from),
            // It has just ended.
            Err(LinkError::Unknown | LinkError::Closed) => Some(Connected::Unreachable),
        },
        Route::Outside(address) => {
            let address = SocketAddr::new(address, target.port);
            out(
                run,
                channel,
                match target.protocol {
                    Protocol::Tcp => Place::Tcp(address),
                    Protocol::Udp => Place::Udp(address),
                },
            )
        }
        Route::Closed => Some(Connected::Refused),
        Route::Nobody => Some(Connected::Unreachable),
        Route::Foreign => {
            warn(
                run,
                &format_args!(
                    "an agent asked for a connection to a network that its container is not on ({}:{}): refused",
                    target.address, target.port
                ),
            );
            Some(Connected::Unreachable)
        }
    }
}

/// Says what an agent has no business with: seldom, however often it is tried.
fn warn(run: &Run, what: &dyn std::fmt::Display) {
    let times = run.state().mesh.note_foreign();
    if times.is_power_of_two() {
        tracing::warn!(run = %run.id, times, "{what}");
    }
}

/// To somewhere out of the mesh.
fn out(run: &Arc<Run>, channel: u32, place: Place) -> Option<Connected> {
    let outside = outside::Outside::new(run, channel);
    if run.state().relay.lead(channel, Peer::Outside(Arc::downgrade(&outside)), 0) {
        tokio::spawn(outside.carry(place));
    }
    None
}

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
    if run.state().relay.lead(channel, Peer::Run(Arc::downgrade(peer)), other) {
        peer.to_send.notify_one();
    } else {
        // The run that asked has ended meanwhile.
        let to = Peer::Run(Arc::downgrade(peer));
        deliver([Note { to, channel: other, word: Word::HungUp }]);
    }
    None
}

//! Who is let in.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use sockerless_agent_wire::{Hello, Key, VERSIONS};
use sockerless_ports::link::Digest;
use subtle::ConstantTimeEq;

use crate::{AgentLink, run::Run};

/// Why an agent is turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// For the agent's log and ours; never contains a key.
    pub reason: String,
    /// The agent may try again in a while.
    pub again: bool,
}

impl Rejection {
    /// For good.
    pub fn finally(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), again: false }
    }

    /// For now.
    pub fn for_now(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), again: true }
    }
}

/// Checks a hello: the run it may serve and the version to speak.
pub async fn admit(link: &AgentLink, hello: &Hello) -> Result<(Arc<Run>, u32), Rejection> {
    let theirs = hello.versions;
    let version = theirs.agree(VERSIONS).ok_or_else(|| {
        Rejection::finally(format!(
            "the agent {} speaks versions {} to {} of the protocol, this daemon {} to {}: start the container anew",
            hello.software, theirs.min, theirs.max, VERSIONS.min, VERSIONS.max
        ))
    })?;
    // A daemon that has just started may hear from an agent before the engine admits its run.
    let run = link.named(&hello.run).ok_or_else(|| Rejection::for_now("no agent is awaited for this run"))?;
    let mut bound = run.bound.lock().await;
    let secret = digest(&hello.secret);
    match *bound {
        Some(known) if same(&known, &secret) => {}
        Some(_) => return Err(Rejection::finally("the run belongs to another agent")),
        None => {
            let ticket = hello.ticket.as_ref().map(digest);
            let heir = match run.before() {
                Some(before) => before.bound.lock().await.is_some_and(|known| same(&known, &secret)),
                None => false,
            };
            if !heir && !ticket.is_some_and(|ticket| same(&ticket, &run.ticket)) {
                return Err(Rejection::finally("the ticket is not the one that was given out"));
            }
            run.events.bound(&run.id, secret).await.map_err(|refusal| Rejection::finally(refusal.0))?;
            *bound = Some(secret);
        }
    }
    drop(bound);
    Ok((run, version))
}

fn digest(key: &Key) -> Digest {
    Sha256::digest(key.as_bytes()).into()
}

fn same(a: &Digest, b: &Digest) -> bool {
    a.ct_eq(b).into()
}

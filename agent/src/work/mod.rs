//! What the daemon asks for: one worker for each request, on a channel of its own.

mod exec;

use std::rc::Rc;

use sockerless_agent_wire::{
    Launch,
    request::{FaultKind, HealthCheck, Request},
};
use tokio::task::spawn_local;

use crate::shared::{Channel, Shared};

/// Serves requests for ever.
pub async fn serve(shared: Rc<Shared>) {
    loop {
        let (channel, request) = shared.asked().await;
        spawn_local(work(Rc::clone(&shared), channel, request));
    }
}

async fn work(shared: Rc<Shared>, channel: Channel, request: Request) {
    match request {
        Request::Exec(exec) => exec::run(shared, channel, *exec).await,
        Request::Stat { .. }
        | Request::Get { .. }
        | Request::Put(_)
        | Request::Export
        | Request::Walk
        | Request::Changed
        | Request::Dial { .. }
        | Request::Processes
        | Request::Sample
        | Request::Freeze
        | Request::Thaw => channel.fail(FaultKind::Unsupported, "this agent cannot do that"),
    }
}

/// Checks the health of the process that was launched so, until it ends.
pub async fn health(_shared: Rc<Shared>, _launch: Launch, _check: HealthCheck) {}

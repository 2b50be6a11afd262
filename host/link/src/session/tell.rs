//! Telling the engine, one thing at a time.

use sockerless_agent_wire::{Launch, Size};
use sockerless_ports::link;
use tokio_util::sync::CancellationToken;

use crate::{
    AgentLink,
    door::Rejection,
    run::{Item, Run},
};

/// Tells what comes, until the connection is over and nothing waits, or the engine refuses the agent. Must run to its end: a
/// call into the engine is never broken off.
pub async fn tell(link: &AgentLink, run: &Run, idle: bool, over: &CancellationToken) {
    run.events.line(&run.id, true).await;
    let mut told = Ok(());
    // What a call of the connection before has brought meanwhile is enough.
    if idle && !run.state().launched && wanted(run, over).await {
        told = launch(link, run).await;
    }
    while told.is_ok() {
        let more = run.to_tell.notified();
        // In this order: what came before the end is told.
        let is_over = over.is_cancelled();
        let item = run.state().incoming.pop();
        match item {
            Some(item) => told = one(link, run, item).await,
            None if is_over => return,
            None => more.await,
        }
    }
    if let Err(link::Refusal(reason)) = told {
        tracing::warn!(run = %run.id, reason, "the engine refuses the agent");
        let mut state = run.state();
        state.incoming.clear();
        state.rejection = Some(Rejection::finally(reason));
        drop(state);
        run.to_send.notify_one();
    }
}

/// Waits until there is something for the agent to do; false when the connection ends before.
async fn wanted(run: &Run, over: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = over.cancelled() => false,
        () = run.events.wanted(&run.id) => true,
    }
}

async fn launch(link: &AgentLink, run: &Run) -> Result<(), link::Refusal> {
    let Some(launch) = run.waiting_for_agent(run.events.launch(&run.id)).await? else { return Ok(()) };
    link.look(run);
    {
        let mut state = run.state();
        state.launch = Some(Box::new(wire(launch)));
        state.launched = true;
    }
    run.to_send.notify_one();
    Ok(())
}

async fn one(link: &AgentLink, run: &Run, item: Item) -> Result<(), link::Refusal> {
    match item {
        Item::Started(pid) => run.events.started(&run.id, pid).await,
        Item::Failed(failure) => {
            run.events.failed(&run.id, failure).await;
            run.state().end_told();
        }
        Item::Exited(exit) => {
            run.waiting_for_agent(run.events.exited(&run.id, exit)).await;
            run.state().end_told();
        }
        Item::Health => {
            let health = run.state().take_health();
            if let Some(health) = health {
                run.events.health(&run.id, health).await;
            }
        }
        Item::Leaving => run.events.leaving(&run.id).await,
        Item::Catching(catching) => {
            if let Some(mesh) = link.mesh.get() {
                mesh.catching(&run.id, catching).await;
            }
        }
        Item::Output { output, offset, bytes } => {
            let count = bytes.len();
            run.events.output(&run.id, output, offset, bytes).await?;
            run.state().kept(output, count);
        }
    }
    run.to_send.notify_one();
    Ok(())
}

fn wire(launch: link::Launch) -> Launch {
    #[rustfmt::skip]
    let link::Launch {
        argv, env, working_dir, user, groups, tty, stdin, size, hostname, tmpfs, sockets, health,
    } = launch;
    let size = size.map(|link::TerminalSize { columns, rows }| Size { columns, rows });
    Launch { argv, env, working_dir, user, groups, tty, stdin, size, hostname, tmpfs, sockets, health }
}

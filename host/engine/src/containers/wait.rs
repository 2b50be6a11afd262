//! `docker wait`.

use std::{future::Future, sync::Arc};

use bollard_stubs::models::{ContainerWaitExitError, ContainerWaitResponse};

use super::table::View;
use crate::{
    Engine, Result, WaitCondition,
    life::{Phase, State},
};

impl Engine {
    /// `POST /containers/{id}/wait`. Subscribed once this returns; the future inside gives the exit code.
    ///
    /// Errors: 404.
    pub fn wait(
        &self,
        reference: &str,
        condition: WaitCondition,
    ) -> Result<impl Future<Output = ContainerWaitResponse> + Send + 'static + use<>> {
        let entry = self.containers.find(reference)?;
        let mut changes = entry.subscribe();
        let before = Arc::clone(&changes.borrow_and_update());
        let closing = self.closing().clone();
        Ok(async move {
            let (exited, ended) = (before.state.exited, before.state.ended);
            let restarting = before.state.phase == Phase::Restarting;
            // As in dockerd, a container between two tries of its restart policy counts as running, and the end of each
            // try is an end.
            let up = before.state.is_live() || before.state.is_up();
            let given_up = |state: &State| restarting && state.phase == Phase::Exited;
            let met = |view: &Arc<View>| {
                let state = &view.state;
                match condition {
                    WaitCondition::NotRunning => {
                        !up || state.ended > ended || given_up(state) || state.phase == Phase::Removed
                    }
                    // One that goes without another end will have no next exit.
                    WaitCondition::NextExit => {
                        state.exited > exited || given_up(state) || state.phase == Phase::Removed
                    }
                    WaitCondition::Removed => matches!(state.phase, Phase::Removed | Phase::Dead),
                }
            };
            let view = closing.run_until_cancelled(async {
                changes.wait_for(met).await.ok().map(|view| Arc::clone(&view))
            });
            match view.await.flatten() {
                Some(view) => response(&view.state, condition, if restarting { 0 } else { ended }),
                None => failed(125, "the daemon is shutting down".into()),
            }
        })
    }
}

fn response(state: &State, condition: WaitCondition, ended_before: u32) -> ContainerWaitResponse {
    // Gone without having ended while somebody waited for that: never a made-up 0.
    if condition == WaitCondition::NextExit && state.ended <= ended_before {
        return failed(125, "the container was removed before it ran again".into());
    }
    if state.phase == Phase::Dead {
        return failed(state.exit_code, state.error.clone());
    }
    let error =
        (!state.error.is_empty()).then(|| ContainerWaitExitError { message: Some(state.error.clone()) });
    // To those who waited for it, a failed start is told by start itself.
    let error = error.filter(|_| state.failure.is_none() || condition == WaitCondition::NotRunning);
    // It may run again already.
    ContainerWaitResponse { status_code: state.last_exit_code.into(), error }
}

fn failed(code: i32, message: String) -> ContainerWaitResponse {
    ContainerWaitResponse {
        status_code: code.into(),
        error: Some(ContainerWaitExitError { message: Some(message) }),
    }
}

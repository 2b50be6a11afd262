//! What is remembered of execs, and for how long.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use sockerless_ports::{
    link::{Channel, LinkError, request::End},
    store::{Change, Kind},
};

use super::exec::{Exec, Stage};
use crate::{Engine, Result, tuning};

/// Exit code of a process that went with its container: 128 + SIGKILL.
pub(super) const KILLED: i32 = 137;
/// Exit code of an end that nobody has seen.
pub(super) const UNKNOWN: i32 = 255;

impl Engine {
    /// Writes down how far it is.
    pub(super) async fn keep_exec(&self, exec: &Exec) -> Result<()> {
        self.commit(vec![exec.put()?]).await
    }

    /// Forgets what was written down.
    pub(super) async fn drop_exec_record(&self, exec: &Exec) {
        let gone = Change::Delete(Kind::Exec, exec.id().to_owned());
        if let Err(error) = self.commit(vec![gone]).await {
            tracing::warn!(exec = exec.id(), %error, "an exec could not be forgotten");
        }
    }

    /// Waits for the agent's word on how it ended. All output was read before.
    pub(super) async fn end_exec(self: &Arc<Self>, exec: &Arc<Exec>, channel: &dyn Channel) {
        let code = match channel.end().await {
            Ok(End::Exited { code }) => code,
            Ok(other) => {
                tracing::error!(exec = exec.id(), ?other, "an exec has ended without an exit code");
                UNKNOWN
            }
            // Its container's run is over.
            Err(LinkError::Unknown | LinkError::Closed) => KILLED,
        };
        self.exec_ended(exec, code);
    }

    /// Shows the end to everybody, once.
    pub(super) fn exec_ended(&self, exec: &Exec, code: i32) {
        let at = Timestamp::now();
        let before = exec.step(|stage| match stage {
            Stage::Ended { .. } => None,
            Stage::Running { pid } => Some(Stage::Ended { pid, code, at }),
            Stage::Created | Stage::Starting => Some(Stage::Ended { pid: 0, code, at }),
        });
        if matches!(before, Stage::Ended { .. }) {
            return;
        }
        exec.set_channel(None);
        self.execs.end(exec);
        self.announce_exec(exec, "exec_die", &[("exitCode", code.to_string())]);
    }

    /// Keeps what is known of a started exec, until some time after its end.
    pub(super) fn look_after_exec(self: &Arc<Self>, exec: &Arc<Exec>) {
        let (engine, exec) = (Arc::clone(self), Arc::clone(exec));
        self.spawn(async move {
            let mut stage = exec.subscribe();
            let is_over = |stage: &Stage| matches!(stage, Stage::Ended { .. });
            if tokio::time::timeout(tuning::EXEC_SETTLED, stage.wait_for(is_over)).await.is_err() {
                engine.keep_exec_known(&exec).await;
                // The sender lives in the exec, which this task holds.
                let _ = stage.wait_for(is_over).await;
            }
            engine.keep_exec_known(&exec).await;
            engine.forget_exec(&exec, tuning::EXEC_KEPT).await;
        });
    }

    /// Writes an exec down unless its container has been removed meanwhile.
    async fn keep_exec_known(&self, exec: &Exec) {
        if self.execs.get(exec.id()).is_some()
            && let Err(error) = self.keep_exec(exec).await
        {
            tracing::error!(exec = exec.id(), %error, "what became of an exec could not be written down");
        }
    }

    /// Forgets an exec after some time.
    pub(super) async fn forget_exec(&self, exec: &Exec, delay: Duration) {
        tokio::time::sleep(delay).await;
        if self.execs.remove(exec) {
            self.drop_exec_record(exec).await;
        }
    }
}

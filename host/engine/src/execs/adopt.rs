//! Execs of an earlier daemon.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use sockerless_ports::{
    link::LinkError,
    store::{Change, Kind},
};

use super::{
    exec::{Exec, ExecRecord, Stage},
    keep::{KILLED, UNKNOWN},
};
use crate::{Engine, Result, tuning};

impl Engine {
    /// Knows execs again, and finds those that may still run. Their clients are gone.
    pub(crate) async fn adopt_execs(self: &Arc<Self>) -> Result<()> {
        let mut gone = Vec::new();
        for record in self.store().load(Kind::Exec).await? {
            let known = match serde_json::from_str::<ExecRecord>(&record.content) {
                Ok(known) => known,
                Err(error) => {
                    tracing::error!(exec = record.key, %error, "the record of an exec cannot be read and is dropped");
                    gone.push(Change::Delete(Kind::Exec, record.key));
                    continue;
                }
            };
            if !self.know_exec(known) {
                gone.push(Change::Delete(Kind::Exec, record.key));
            }
        }
        if gone.is_empty() { Ok(()) } else { self.commit(gone).await }
    }

    /// False: nobody needs to know it any more.
    fn know_exec(self: &Arc<Self>, ExecRecord { plan, pid, end }: ExecRecord) -> bool {
        let Some(entry) = self.containers.get(&plan.run.container) else { return false };
        if let Some((code, at)) = end {
            let age = Duration::try_from(Timestamp::now().duration_since(at)).unwrap_or_default();
            let Some(left) = tuning::EXEC_KEPT.checked_sub(age) else { return false };
            let exec = Exec::new(plan, Stage::Ended { pid, code, at });
            self.execs.insert(&exec);
            let engine = Arc::clone(self);
            self.spawn(async move { engine.forget_exec(&exec, left).await });
            return true;
        }
        let generation = plan.run.generation;
        let exec = Exec::new(plan, Stage::Running { pid });
        self.execs.insert(&exec);
        self.look_after_exec(&exec);
        let engine = Arc::clone(self);
        let mut changes = entry.subscribe();
        self.spawn(async move {
            tokio::select! {
                biased;
                () = engine.adopt_exec(&exec) => {}
                // Whatever the agent might say of it: no process outlives its container.
                _ = changes.wait_for(|view| view.state.ended >= generation) => engine.exec_ended(&exec, KILLED),
            }
        });
        true
    }

    async fn adopt_exec(self: &Arc<Self>, exec: &Arc<Exec>) {
        let run = &exec.plan.run;
        let Some(known) = self.runs.get(run) else { return std::future::pending().await };
        // From then on the link knows the run.
        let _ = known.line.subscribe().wait_for(|up| *up).await;
        match self.link.adopt(run, exec.id()).await {
            Ok(channel) => {
                let channel = Arc::from(channel);
                exec.set_channel(Some(Arc::clone(&channel)));
                if !exec.plan.request.tty {
                    channel.finish();
                }
                self.drain_exec(exec, channel.as_ref()).await;
            }
            Err(LinkError::Closed) => {
                tracing::warn!(
                    exec = exec.id(),
                    "an exec ended while the daemon was away; its exit code is lost"
                );
                self.exec_ended(exec, UNKNOWN);
            }
            Err(LinkError::Unknown) => self.exec_ended(exec, KILLED),
        }
    }
}

//! How an exec is, and its terminal's size.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bollard_stubs::models::{ExecInspectResponse, ProcessConfig};
use sockerless_ports::link::TerminalSize;

use super::exec::Stage;
use crate::{Engine, Error, ErrorKind, Result, containers::DetachScanner, tuning};

impl Engine {
    /// `GET /exec/{id}/json`. The exit code is none until the end.
    ///
    /// Errors: 404.
    pub fn inspect_exec(&self, id: &str) -> Result<ExecInspectResponse> {
        let exec = self.find_exec(id)?;
        let (running, pid, exit_code) = match exec.stage() {
            Stage::Created => (false, 0, None),
            Stage::Starting => (true, 0, None),
            Stage::Running { pid } => (true, pid, None),
            Stage::Ended { pid, code, .. } => (false, pid, Some(code.into())),
        };
        let plan = &exec.plan;
        let (program, arguments) = exec.command_line();
        // Go writes bytes in base64.
        let keys = plan.detach_keys.as_deref().and_then(|keys| DetachScanner::parse(Some(keys)).ok());
        Ok(ExecInspectResponse {
            can_remove: Some(false),
            detach_keys: Some(keys.map(|keys| STANDARD.encode(keys.keys())).unwrap_or_default()),
            id: Some(id.to_owned()),
            running: Some(running),
            exit_code,
            process_config: Some(ProcessConfig {
                privileged: Some(plan.privileged),
                user: plan.user.clone(),
                tty: Some(plan.request.tty),
                entrypoint: Some(program.to_owned()),
                arguments: Some(arguments.to_vec()),
            }),
            open_stdin: Some(plan.request.stdin),
            open_stderr: Some(plan.stderr),
            open_stdout: Some(plan.stdout),
            container_id: Some(exec.container().to_owned()),
            pid: Some(pid.into()),
        })
    }

    /// `POST /exec/{id}/resize`. Waits a little for an exec that is being started.
    ///
    /// Errors: 404, also after its end; 409 when its container does not run; 500 when it was not started in time.
    pub async fn resize_exec(&self, id: &str, size: TerminalSize) -> Result<()> {
        let exec = self.find_exec(id)?;
        self.check_active(&exec)?;
        let mut stage = exec.subscribe();
        let settled = stage.wait_for(|stage| matches!(stage, Stage::Running { .. } | Stage::Ended { .. }));
        if tokio::time::timeout(tuning::EXEC_READY, settled).await.is_err() {
            return Err(Error::new(ErrorKind::Internal, "timeout waiting for exec session ready"));
        }
        match exec.channel() {
            Some(channel) => {
                channel.resize(size);
                Ok(())
            }
            None => Err(Error::new(ErrorKind::NotFound, "no such exec")),
        }
    }
}

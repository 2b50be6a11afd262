//! `docker exec`, first half: what is to be run.

use std::sync::Arc;

use bollard_stubs::models::ExecConfig;
use sockerless_ports::link::{RunId, TerminalSize, request};

use super::exec::{Exec, Plan, Stage};
use crate::{
    Engine, Error, ErrorKind, Result,
    ask::running,
    containers::{self, DetachScanner, Entry},
    error::needs_agent,
    supervisor::run_id,
};

impl Engine {
    /// `POST /containers/{id}/exec`; gives the exec's id. Nothing runs before [`Engine::start_exec`].
    ///
    /// Errors: 400 without a command or for malformed detach keys, 404, 409 when the container does not run, 501 when
    /// it has no agent.
    pub fn create_exec(&self, reference: &str, config: ExecConfig) -> Result<String> {
        let argv = config.cmd.unwrap_or_default();
        if argv.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "No exec command specified"));
        }
        let entry = self.containers.find(reference)?;
        let run = active(&entry, reference)?;
        let detach_keys = config.detach_keys.filter(|keys| !keys.is_empty());
        if let Some(keys) = &detach_keys {
            DetachScanner::parse(Some(keys)).map_err(|_| {
                Error::new(ErrorKind::Invalid, format!("Invalid escape keys ({keys}) provided"))
            })?;
        }
        let privileged = config.privileged.unwrap_or_default();
        if privileged {
            // dockerd has no place for warnings in this answer.
            tracing::warn!(
                container = entry.id(),
                "an exec asks for privileges; no cloud gives any, it runs with those of the container"
            );
        }
        let own = &entry.spec.config;
        let set = |value: Option<String>| value.filter(|value| !value.is_empty());
        let user = set(config.user);
        let tty = config.tty.unwrap_or_default();
        let mut env = containers::environment(&entry.spec, tty, config.env.as_deref().unwrap_or_default());
        self.add_linked(&entry.view(), &mut env);
        let request = request::Exec {
            id: hex::encode(rand::random::<[u8; 32]>()),
            argv,
            env,
            working_dir: set(config.working_dir).or_else(|| set(own.working_dir.clone())).unwrap_or_default(),
            user: user.clone().or_else(|| set(own.user.clone())),
            groups: entry.spec.host.group_add.clone().unwrap_or_default(),
            tty,
            stdin: config.attach_stdin.unwrap_or_default(),
            size: first_size(config.console_size.as_deref()).filter(|_| tty).map(Into::into),
        };
        let plan = Plan {
            run,
            request,
            stdout: config.attach_stdout.unwrap_or_default(),
            stderr: config.attach_stderr.unwrap_or_default(),
            detach_keys,
            privileged,
            user,
        };
        let exec = Exec::new(plan, Stage::Created);
        self.execs.insert(&exec);
        self.announce_exec(&exec, &format!("exec_create: {}", exec.command()), &[]);
        Ok(exec.id().to_owned())
    }

    /// An event of an exec, unless its container is gone.
    pub(super) fn announce_exec(&self, exec: &Exec, action: &str, more: &[(&str, String)]) {
        if let Some(entry) = self.containers.get(exec.container()) {
            let mut attributes = vec![("execID", exec.id().to_owned())];
            attributes.extend_from_slice(more);
            self.events.container(&entry, &entry.view().name, action, &attributes);
        }
    }
}

/// The run that a process can be started in. Errors: 409, 501. `shown` is how the client named the container.
pub(super) fn active(entry: &Arc<Entry>, shown: &str) -> Result<RunId> {
    let view = running(entry)?;
    if view.state.paused {
        let message = format!("Container {shown} is paused, unpause the container before exec");
        return Err(Error::new(ErrorKind::Conflict, message));
    }
    if !view.state.agent {
        return Err(needs_agent("exec"));
    }
    Ok(run_id(entry, view.state.generation))
}

/// `ConsoleSize` is height, then width; zeros mean that it is not known.
pub(super) fn first_size(size: Option<&[usize]>) -> Option<TerminalSize> {
    let [rows, columns] = size?.try_into().ok()?;
    let (rows, columns) = (u16::try_from(rows).ok()?, u16::try_from(columns).ok()?);
    (rows > 0 && columns > 0).then_some(TerminalSize { columns, rows })
}

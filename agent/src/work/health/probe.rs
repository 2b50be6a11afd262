//! One probe: a process beside the container's own, with the same user, environment and directory.

use std::{rc::Rc, time::Duration};

use bytes::BytesMut;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sockerless_agent_wire::{
    Launch,
    request::{Exec, HealthCheck},
};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::Receiver,
    sync::oneshot,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use crate::{
    mesh,
    process::{self, Failure, Process, Spec, Streams, reap::Ended},
    shared::Shared,
    tuning,
};

/// How it went: the code, -1 when it took too long or could not be run, and what there is to read.
pub async fn run(shared: &Rc<Shared>, launch: &Launch, check: &HealthCheck) -> (i32, String) {
    let exec = Exec {
        argv: check.argv.clone(),
        env: launch.env.clone(),
        working_dir: launch.working_dir.clone(),
        user: launch.user.clone(),
        groups: launch.groups.clone(),
        ..Exec::default()
    };
    let catcher = mesh::catcher(shared);
    let catch = catcher.as_ref().and_then(|catcher| catcher.catch(shared));
    let starting = shared.children.starting();
    let started = spawn_blocking(move || process::start(Spec { catch, ..exec.into() })).await;
    let started = started.unwrap_or_else(|error| Err(Failure { code: 128, message: error.to_string() }));
    let Process { pid, streams, caught } = match started {
        Ok(process) => process,
        Err(Failure { message, .. }) => {
            let prefix = "OCI runtime exec failed: exec failed: unable to start container process";
            return (-1, format!("{prefix}: {message}: unknown"));
        }
    };
    let probe = Running(pid);
    let end = starting.claim(pid);
    if let (Some(catcher), Some(caught)) = (catcher, caught) {
        catcher.watch(shared, caught);
    }
    let mut said = Said::default();
    let limit = Duration::from_millis(check.timeout);
    let ended = tokio::select! {
        ended = finish(end, streams, &mut said) => Some(ended),
        () = sleep(limit) => None,
    };
    drop(probe);
    match ended {
        Some(code) => (code, said.text()),
        None => {
            let shown = duration(check.timeout);
            (
                -1,
                match said.text() {
                    text if text.is_empty() => format!("Health check exceeded timeout ({shown})"),
                    text => format!("Health check exceeded timeout ({shown}): {text}"),
                },
            )
        }
    }
}

/// Reads what it says until it ends.
async fn finish(mut end: oneshot::Receiver<Ended>, streams: Streams, said: &mut Said) -> i32 {
    let code = |ended: Result<Ended, _>| ended.map_or(255, |ended| ended.code);
    let Streams::Pipes { stdout, stderr, .. } = streams else { return code(end.await) };
    let (Ok(mut stdout), Ok(mut stderr)) = (Receiver::from_owned_fd(stdout), Receiver::from_owned_fd(stderr))
    else {
        return code(end.await);
    };
    let (mut out, mut err) =
        (BytesMut::with_capacity(tuning::PROBE_PIECE), BytesMut::with_capacity(tuning::PROBE_PIECE));
    let (mut out_open, mut err_open) = (true, true);
    let mut ended = None;
    while out_open || err_open {
        out.clear();
        err.clear();
        tokio::select! {
            read = stdout.read_buf(&mut out), if out_open => out_open = matches!(read, Ok(1..)),
            read = stderr.read_buf(&mut err), if err_open => err_open = matches!(read, Ok(1..)),
            result = &mut end, if ended.is_none() => {
                ended = Some(code(result));
                // What it said is in the pipes; what it left behind may hold them open.
                let rest = async {
                    while let Ok(1..) = stdout.read_buf(&mut out).await { said.add(&out); out.clear(); }
                    while let Ok(1..) = stderr.read_buf(&mut err).await { said.add(&err); err.clear(); }
                };
                let _ = timeout(tuning::PROBE_REST, rest).await;
                break;
            }
        }
        said.add(&out);
        said.add(&err);
    }
    match ended {
        Some(code) => code,
        None => code(end.await),
    }
}

/// Ends with whoever waits for it, and all that is in its session.
struct Running(u32);

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.0) {
            // Most have ended by themselves.
            let _ = kill(Pid::from_raw(-pid), Signal::SIGKILL);
        }
    }
}

/// As much as is kept of what a probe says.
#[derive(Default)]
struct Said {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Said {
    fn add(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(tuning::PROBE_OUTPUT - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..kept]);
        self.is_cut |= kept < bytes.len();
    }

    fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.bytes).into_owned();
        if self.is_cut {
            text.push_str("...");
        }
        text
    }
}

/// Milliseconds as Go writes a duration.
fn duration(milliseconds: u64) -> String {
    if milliseconds < 1000 {
        return if milliseconds == 0 { "0s".to_owned() } else { format!("{milliseconds}ms") };
    }
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    let fraction = format!(".{rest:03}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}{fraction}s"),
        (0, _) => format!("{minutes}m{seconds}{fraction}s"),
        _ => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (milliseconds, text) in [
            (0, "0s"),
            (5, "5ms"),
            (1000, "1s"),
            (1500, "1.5s"),
            (30_000, "30s"),
            (60_000, "1m0s"),
            (61_010, "1m1.01s"),
            (3_600_000, "1h0m0s"),
            (3_725_000, "1h2m5s"),
        ] {
            assert_eq!(duration(milliseconds), text);
        }
    }

    #[test]
    fn what_a_probe_says_is_kept_up_to_a_limit() {
        let mut said = Said::default();
        said.add(&[b'x'; 4000]);
        said.add(&[b'y'; 96]);
        assert_eq!(said.text().len(), 4096);
        said.add(b"z");
        assert!(said.text().len() == 4099 && said.text().ends_with("y..."));
    }
}

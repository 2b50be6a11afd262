//! The end of processes: the agent collects all of them, its own and orphans.

use std::{collections::HashMap, fs, sync::Mutex};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, getpid},
};
use rustix::process::{WaitOptions, WaitStatus, wait};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    pub pid: u32,
    /// 128 + signal for one that a signal ended.
    pub code: i32,
    pub signal: Option<i32>,
}

/// Held while a child is started: starting it may fail after there was a child, whose end the standard library wants to
/// collect itself.
pub static SPAWNING: Mutex<()> = Mutex::new(());

/// Collects the next child that has ended. An error when there is no child at all.
pub fn next() -> Result<Option<Ended>, rustix::io::Errno> {
    // Whoever starts one makes us look again.
    let Ok(_nobody_starts) = SPAWNING.try_lock() else { return Ok(None) };
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                if let Some(ended) = ended(pid.as_raw_nonzero().get(), status) {
                    return Ok(Some(ended));
                }
            }
            Ok(None) => return Ok(None),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

fn ended(pid: i32, status: WaitStatus) -> Option<Ended> {
    let signal = status.terminating_signal();
    let code = signal.map(|signal| 128 + signal).or(status.exit_status())?;
    Some(Ended { pid: u32::try_from(pid).ok()?, code, signal })
}

/// Kills what is left of the process's descendants, as the end of a container's first process does.
pub fn kill_rest() {
    let own = getpid();
    if own.as_raw() == 1 {
        // All but the first process. Nothing left to kill is no error.
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        return;
    }
    for pid in descendants(own.as_raw()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

fn descendants(of: i32) -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let stat = fs::read_to_string(entry.path().join("stat")).ok();
        if let (Some(pid), Some(parent)) = (pid, stat.as_deref().and_then(parent)) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = children.remove(&of).unwrap_or_default();
    let mut at = 0;
    while let Some(pid) = found.get(at) {
        let more = children.remove(pid).unwrap_or_default();
        found.extend(more);
        at += 1;
    }
    found
}

/// The parent in a `/proc/PID/stat`: the second field after the name, which may itself contain anything.
fn parent(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parent;

    #[test]
    fn a_parent_is_found_behind_any_name() {
        assert_eq!(parent("17 (a) b (c) S 4 17 17 0 -1"), Some(4));
        assert_eq!(parent("garbage"), None);
    }
}

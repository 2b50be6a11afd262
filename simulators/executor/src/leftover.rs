//! What an executor that was killed leaves behind, cleared before its state is used again.

use std::{fs, io, path::Path};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{image::Unpack, stage::MARKER, tuning::ORPHAN_PATIENCE};

/// Stages end by themselves when their executor is gone; waits for that, and helps after a while.
pub(crate) async fn end_stages(scope: &str) {
    let begin = tokio::time::Instant::now();
    loop {
        let stages = stages(scope);
        if stages.is_empty() {
            return;
        }
        if begin.elapsed() > ORPHAN_PATIENCE {
            for pid in stages {
                // Gone meanwhile, or another user's: neither is ours to fix.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            return;
        }
        tokio::time::sleep(ORPHAN_PATIENCE / 100).await;
    }
}

fn stages(scope: &str) -> Vec<i32> {
    let is_ours = |pid: &i32| {
        let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
        let mut arguments = line.split(|byte| *byte == 0).skip(1);
        arguments.next() == Some(MARKER.as_bytes()) && arguments.nth(1) == Some(scope.as_bytes())
    };
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(is_ours)
        .collect()
}

/// An empty folder for the sockets at which mounts are handed over.
pub(crate) fn fresh_sockets(state: &Path) -> io::Result<()> {
    let folder = state.join("sockets");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir(folder)
}

/// Deletes the files of tasks that are no more.
pub(crate) async fn remove_tasks(state: &Path, unpack: &Unpack) -> io::Result<()> {
    let folders: Vec<_> = fs::read_dir(state.join("tasks"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    if !folders.is_empty() {
        unpack.remove(&folders.iter().map(|path| path.as_path()).collect::<Vec<_>>()).await;
    }
    Ok(())
}

//! How the executor starts a stage, and what a refusal of the kernel means.

use std::{os::unix::process::CommandExt, path::Path, process::Command};

use super::MARKER;

/// A stage of the executor `scope`. It gets a process group of its own, so that a Ctrl-C in the
/// terminal reaches the program and not the containers behind its back.
pub(crate) fn stage_command(program: &Path, name: &str, scope: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(MARKER).arg(name).arg(scope).env_clear().process_group(0);
    command
}

/// What to do when the kernel refuses a namespace; empty when nothing is known to be amiss.
pub(crate) fn explain_refusal() -> String {
    let read =
        |path: &str| std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    if read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
        return "; AppArmor restricts user namespaces here: `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0` \
                allows them, or run as root"
            .into();
    }
    if read("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
        return "; `sudo sysctl kernel.unprivileged_userns_clone=1` allows user namespaces, or run as root"
            .into();
    }
    if read("/proc/sys/user/max_user_namespaces") == "0" {
        return "; `sudo sysctl user.max_user_namespaces=15000` allows user namespaces, or run as root"
            .into();
    }
    String::new()
}

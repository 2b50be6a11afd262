//! Process 1 of a task until it becomes the task's command.

use std::{
    ffi::CString,
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use nix::{
    errno::Errno,
    sched::{CloneFlags, setns, unshare},
    sys::{
        prctl,
        resource::{Resource, getrlimit, setrlimit},
        signal::{SigSet, Signal},
        stat::{Mode, umask},
    },
    unistd::{Gid, Uid, execve, setgroups, sethostname, setresgid, setresuid},
};
use rustix::thread::{CapabilitySet, CapabilitySets};
use signal_hook::consts::FORBIDDEN;

use super::{
    protocol::{Channel, FromInit, Plan, StageFailure},
    rootfs,
    user::{self, Identity},
};
use crate::spec::FailureReason;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Waits for a plan and becomes its command; returns only if that fails, after it was reported.
pub(crate) fn run() -> io::Result<()> {
    let mut line = Channel::from_stdin()?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    SigSet::all().thread_unblock()?;
    let Some(plan) = line.receive::<Plan>()? else { return Ok(()) };
    match become_command(&plan, &mut line) {
        Ok(never) => match never {},
        Err(failure) => line.send(&FromInit::Failed(failure)),
    }
}

fn become_command(plan: &Plan, line: &mut Channel) -> Result<std::convert::Infallible, StageFailure> {
    if let Some(path) = &plan.network {
        let enter = || -> io::Result<()> { Ok(setns(fs::File::open(path)?, CloneFlags::CLONE_NEWNET)?) };
        enter().map_err(|error| StageFailure::internal("the pod's network", error))?;
    }
    // The keeper has moved this process into its control group, which becomes the root of them.
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWCGROUP)
        .map_err(|error| StageFailure::internal("mount namespace", error))?;
    rootfs::enter(plan)?;
    if plan.make_working_dir {
        // Root's, before the command's user comes in. Where it cannot be made, the change to it tells why.
        drop(fs::create_dir_all(&plan.working_dir));
    }
    sethostname(&plan.hostname).map_err(|error| StageFailure::internal("host name", error))?;

    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let identity = user::resolve(&plan.user, &read("/etc/passwd"), &read("/etc/group"))?;
    let env = environment(&plan.env, &identity);
    limit_resources().map_err(|error| StageFailure::internal("resource limits", error))?;
    assume(&identity, plan.capabilities)
        .map_err(|error| StageFailure::internal("user and capabilities", error))?;
    umask(Mode::from_bits_truncate(0o022));

    std::env::set_current_dir(&plan.working_dir).map_err(|error| {
        StageFailure::new(
            FailureReason::WorkingDirectory,
            format!("working directory {}: {}", plan.working_dir, plain(&error)),
        )
    })?;
    let path = env.iter().find_map(|pair| pair.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    let name = plan.argv.first().map(String::as_str).unwrap_or_default();
    let program = find(name, path)?;

    let text = |text: &str| CString::new(text).map_err(|error| StageFailure::internal("argument", error));
    let file = text(&program)?;
    let argv = plan.argv.iter().map(|argument| text(argument)).collect::<Result<Vec<_>, _>>()?;
    let env = env.iter().map(|pair| text(pair)).collect::<Result<Vec<_>, _>>()?;
    line.send(&FromInit::Executing).map_err(|error| StageFailure::internal("report", error))?;
    handle_signals().map_err(|error| StageFailure::internal("signals", error))?;
    match execve(&file, &argv, &env) {
        Ok(never) => Ok(never),
        Err(error) => Err(refused(name, error)),
    }
}

/// A signal that is ignored stays ignored through execve, and a shell cannot trap it then; one that is handled gets its default
/// action. Ignored are SIGPIPE, by the runtime of this program, and SIGHUP, where somebody started it by `nohup`.
fn handle_signals() -> io::Result<()> {
    let seen = Arc::new(AtomicBool::new(false));
    for signal in Signal::iterator().map(|signal| signal as i32).filter(|it| !FORBIDDEN.contains(it)) {
        signal_hook::flag::register(signal, Arc::clone(&seen))?;
    }
    Ok(())
}

fn plain(error: &io::Error) -> String {
    error
        .raw_os_error()
        .map_or_else(|| error.to_string(), |number| Errno::from_raw(number).desc().to_lowercase())
}

/// What a failed execve means.
fn refused(name: &str, error: Errno) -> StageFailure {
    let (reason, text) = match error {
        Errno::ENOENT | Errno::ENOTDIR => (FailureReason::CommandNotFound, "no such file or directory"),
        Errno::EACCES | Errno::EPERM => (FailureReason::CommandNotExecutable, "permission denied"),
        Errno::ENOEXEC => (FailureReason::ExecFormat, "exec format error"),
        other => return StageFailure::internal(format!("exec: \"{name}\""), other.desc()),
    };
    StageFailure::new(reason, format!("exec: \"{name}\": {text}"))
}

/// The path of an executable: as it is when it has a slash, otherwise from PATH.
fn find(name: &str, path: &str) -> Result<String, StageFailure> {
    if name.contains('/') {
        return Ok(name.to_owned());
    }
    let candidate = |folder: &str| {
        let folder = if folder.is_empty() { "." } else { folder };
        Path::new(folder).join(name)
    };
    let usable = |file: &PathBuf| {
        fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
            && nix::unistd::access(file, nix::unistd::AccessFlags::X_OK).is_ok()
    };
    path.split(':')
        .map(candidate)
        .find(usable)
        .and_then(|file| file.into_os_string().into_string().ok())
        .ok_or_else(|| {
            let message = format!("exec: \"{name}\": executable file not found in $PATH");
            StageFailure::new(FailureReason::CommandNotFound, message)
        })
}

/// The plan's variables, the last of each name, with HOME and PATH filled in.
fn environment(plan: &[String], identity: &Identity) -> Vec<String> {
    let mut env: Vec<String> = Vec::with_capacity(plan.len() + 2);
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    for pair in plan {
        let key = name(pair);
        match env.iter_mut().find(|have| name(have) == key) {
            Some(have) => have.clone_from(pair),
            None => env.push(pair.clone()),
        }
    }
    for (key, value) in [("PATH", DEFAULT_PATH), ("HOME", identity.home.as_str())] {
        if !env.iter().any(|pair| name(pair) == key) {
            env.push(format!("{key}={value}"));
        }
    }
    env
}

/// No core files; as many open files as this machine lets us have.
fn limit_resources() -> nix::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
}

/// Becomes the user with exactly these capabilities in the bounding set: root has them all, any
/// other user none until a set-user-ID program.
fn assume(identity: &Identity, capabilities: u64) -> io::Result<()> {
    let wanted = CapabilitySet::from_bits_retain(capabilities);
    for bit in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        // The kernel answers EINVAL beyond its last capability.
        let Ok(present) = rustix::thread::capability_is_in_bounding_set(one) else { break };
        if present && !wanted.contains(one) {
            rustix::thread::remove_capability_from_bounding_set(one)?;
        }
    }
    let groups: Vec<Gid> = identity.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    setgroups(&groups)?;
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    own_output(uid, gid);
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    let mut sets = rustix::thread::capabilities(None)?;
    sets = CapabilitySets {
        effective: sets.effective & wanted,
        permitted: sets.permitted & wanted,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets)?;
    // A change of the user clears it.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    Ok(())
}

/// Gives the output pipes to the user, so that `/dev/stdout` can be opened.
fn own_output(uid: Uid, gid: Gid) {
    use std::os::fd::AsFd;
    let is_pipe = |fd: std::os::fd::BorrowedFd<'_>| {
        fd.try_clone_to_owned()
            .and_then(|fd| fs::File::from(fd).metadata())
            .is_ok_and(|meta| meta.mode() & 0o170_000 == 0o010_000)
    };
    let (out, err) = (io::stdout(), io::stderr());
    for fd in [out.as_fd(), err.as_fd()] {
        if is_pipe(fd) {
            // Without it only /dev/stdout as a path is lost.
            let _ = nix::unistd::fchown(fd, Some(uid), Some(gid));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_variable_of_a_name_wins_and_keeps_its_place() {
        let identity = Identity { uid: 0, gid: 0, groups: vec![], home: "/root".into() };
        let plan = ["A=1", "B=2", "A=3", "HOME=/h"].map(str::to_owned);
        assert_eq!(environment(&plan, &identity), ["A=3", "B=2", "HOME=/h", &format!("PATH={DEFAULT_PATH}")]);
    }

    #[test]
    fn a_failed_execve_tells_what_it_met() {
        assert_eq!(refused("x", Errno::ENOENT).reason, FailureReason::CommandNotFound);
        assert_eq!(refused("x", Errno::EACCES).reason, FailureReason::CommandNotExecutable);
        assert_eq!(refused("x", Errno::ENOEXEC).reason, FailureReason::ExecFormat);
    }
}

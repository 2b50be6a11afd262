//! The stage: what the child does before it becomes the process.

use std::{
    ffi::CString,
    fs::{DirBuilder, File, OpenOptions},
    io::{Read, Write},
    net::Shutdown,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd, RawFd},
        unix::{
            fs::{DirBuilderExt, MetadataExt, fchown},
            net::UnixStream,
        },
    },
    path::Path,
    process::exit,
    sync::{Arc, atomic::AtomicBool},
};

use nix::{
    errno::Errno,
    sched::{CloneFlags, setns},
    sys::{
        signal::{SigSet, SigmaskHow, sigprocmask},
        stat::{Mode, umask},
    },
    unistd::{Gid, Uid, chdir, close, dup2_stdin, execve, getuid, setgid, setgroups, setsid, setuid},
};

use super::{Failure, Plan, catch, errno, lookup, user::Identity, words};
use crate::descriptors;

/// The argument that makes the agent a stage. A limit for open files may follow.
pub const STAGE: &str = "launch-stage";

/// What runc's first process answers with when it cannot become the container's.
const CANNOT_EXECUTE: i32 = 255;

/// Never returns. Standard input is the line to the agent.
pub fn stage() -> ! {
    let Ok(line) = std::io::stdin().as_fd().try_clone_to_owned() else { exit(CANNOT_EXECUTE) };
    let mut line = UnixStream::from(line);
    let failure = match become_process(&mut line) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    if let Ok(failure) = serde_json::to_vec(&failure) {
        // An agent that is gone needs no answer.
        let _ = line.write_all(&failure);
    }
    exit(CANNOT_EXECUTE)
}

enum Never {}

fn become_process(line: &mut UnixStream) -> Result<Never, Failure> {
    let mut plan = Vec::new();
    line.read_to_end(&mut plan).map_err(|error| Failure::other(error.to_string()))?;
    let plan: Plan = serde_json::from_slice(&plan).map_err(|error| Failure::other(error.to_string()))?;
    close_inherited(&[line.as_raw_fd(), plan.stdin.unwrap_or_default(), plan.network.unwrap_or_default()]);
    let step = |name: &'static str| move |errno: Errno| Failure::new(name, errno);
    if let Some(limit) = std::env::args().nth(2).and_then(|limit| limit.parse().ok()) {
        descriptors::lower(limit).map_err(step("setrlimit"))?;
    }

    setsid().map_err(step("setsid"))?;
    if plan.terminal {
        dup2_stdin(std::io::stdout()).map_err(step("dup2"))?;
        rustix::process::ioctl_tiocsctty(std::io::stdin())
            .map_err(|error| Failure::new("controlling terminal", Errno::from_raw(error.raw_os_error())))?;
    } else {
        dup2_stdin(input(&plan)?).map_err(step("dup2"))?;
    }
    umask(Mode::from_bits_truncate(0o022));
    if plan.make_working_dir {
        make(&plan.working_dir)?;
    }
    if let Some(number) = plan.network {
        enter(number).map_err(|error| Failure::new("network namespace", errno(&error)))?;
    }
    if plan.filter {
        catch::install(line).map_err(|error| Failure::new("filter", errno(&error)))?;
    }
    if let Some(identity) = &plan.identity {
        assume(identity)?;
    }
    chdir(plan.working_dir.as_str()).map_err(|errno| {
        Failure::new(format!("chdir to cwd ({:?}) set in config.json failed", plan.working_dir), errno)
    })?;
    let program = lookup::program(&plan.argv, &plan.env)?;
    let string =
        |text: &str| CString::new(text).map_err(|_| Failure::other(format!("{text:?} contains a NUL")));
    let strings = |texts: &[String]| texts.iter().map(|text| string(text)).collect::<Result<Vec<_>, _>>();
    let (path, argv, env) = (string(&program)?, strings(&plan.argv)?, strings(&plan.env)?);
    restore_signals();

    // From here on the runtime counts the container as started: what goes wrong is its output.
    let _ = line.shutdown(Shutdown::Both);
    let Err(errno) = execve(&path, &argv, &env);
    let mut stderr = std::io::stderr();
    let _ = writeln!(stderr, "exec {program}: {}", words(errno));
    exit(CANNOT_EXECUTE)
}

/// What a runtime left open before the agent is none of the process's business.
fn close_inherited(keep: &[RawFd]) {
    let numbers: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    for number in numbers.into_iter().filter(|number| *number > 2 && !keep.contains(number)) {
        // Nothing in this program owns it; the listing's own is closed already.
        let _ = close(number);
    }
}

fn input(plan: &Plan) -> Result<OwnedFd, Failure> {
    let failed = |what: &str, error: &std::io::Error| Failure::new(format!("open {what}"), errno(error));
    let Some(number) = plan.stdin else {
        return File::open("/dev/null").map(OwnedFd::from).map_err(|error| failed("/dev/null", &error));
    };
    // Opened anew, since a bare number can only be owned by unsafe code.
    let place = format!("/proc/self/fd/{number}");
    let file = OpenOptions::new().read(true).open(&place).map_err(|error| failed(&place, &error))?;
    close(number).map_err(|errno| Failure::new("close", errno))?;
    Ok(file.into())
}

/// Becomes part of a network namespace.
fn enter(number: RawFd) -> std::io::Result<()> {
    // Opened anew, as standard input.
    let namespace = File::open(format!("/proc/self/fd/{number}"))?;
    close(number)?;
    Ok(setns(namespace, CloneFlags::CLONE_NEWNET)?)
}

/// Docker makes a working directory that is missing, as root's.
fn make(directory: &str) -> Result<(), Failure> {
    let path = Path::new(directory);
    let Err(error) = DirBuilder::new().recursive(true).mode(0o755).create(path) else { return Ok(()) };
    match errno(&error) {
        Errno::EEXIST | Errno::ENOTDIR => {
            Err(Failure::other(format!("Cannot mkdir: {directory} is not a directory")))
        }
        errno => Err(Failure::new(format!("mkdir {directory}"), errno)),
    }
}

fn assume(identity: &Identity) -> Result<(), Failure> {
    let Identity { uid, gid, ref groups, lenient } = *identity;
    own_streams(uid);
    let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    let change = || {
        setgroups(&groups).map_err(|errno| Failure::new("setgroups", errno))?;
        setgid(Gid::from_raw(gid)).map_err(|errno| Failure::new("setgid", errno))
    };
    match change() {
        // Nobody asked for a user: what the cloud gave is what there is.
        Err(_) if lenient => {}
        changed => changed?,
    }
    if getuid() != Uid::from_raw(uid) {
        setuid(Uid::from_raw(uid)).map_err(|errno| Failure::new("setuid", errno))?;
    }
    Ok(())
}

/// The process may open its own streams by name (`/dev/stderr`), as under Docker.
fn own_streams(uid: u32) {
    let null = std::fs::metadata("/dev/null").map(|null| null.rdev()).unwrap_or_default();
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    for stream in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()] {
        let is_null = || Some(File::from(stream.try_clone_to_owned().ok()?).metadata().ok()?.rdev() == null);
        if is_null() == Some(false) {
            // Where it is not permitted, opening them by name fails, and nothing else.
            let _ = fchown(stream, Some(uid), None);
        }
    }
}

/// A process starts with nothing blocked and nothing ignored. What is caught becomes the default with the new program, and
/// catching is safe.
fn restore_signals() {
    let caught = Arc::new(AtomicBool::new(false));
    for signal in 1..32 {
        if !signal_hook::consts::FORBIDDEN.contains(&signal) {
            // Signals that cannot be caught cannot be ignored either.
            let _ = signal_hook::flag::register(signal, Arc::clone(&caught));
        }
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

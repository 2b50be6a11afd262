//! The process: its start, and its end.
//!
//! A child of a program with threads may do next to nothing before it becomes another program; so the agent starts itself
//! once more, as a *stage* that has all the time it needs, says what went wrong if anything does, and becomes the process.

mod catch;
pub mod children;
mod lookup;
pub mod reap;
mod stage;
pub mod terminal;
mod user;

use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    path::Path,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, OFlag, fcntl},
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::{getpid, pipe2, sethostname},
};
use serde::{Deserialize, Serialize};
use sockerless_agent_wire::{Launch, Size, request::Exec};
use sockerless_mesh::Privileges;

pub use self::stage::{STAGE, stage};
use crate::{descriptors, say, tuning};

/// Why there is no process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Docker's exit code: 126 for what cannot be executed, 127 for what is not there, 128 otherwise.
    pub code: i32,
    /// In the words of dockerd's runtime; clients derive their own exit code from them.
    pub message: String,
}

impl Failure {
    /// With the code that dockerd gives to such an error.
    fn new(what: impl std::fmt::Display, errno: Errno) -> Self {
        let code = match errno {
            Errno::ENOENT => 127,
            Errno::EACCES | Errno::EISDIR => 126,
            _ => 128,
        };
        Self { code, message: format!("{what}: {}", words(errno)) }
    }

    fn other(message: impl Into<String>) -> Self {
        Self { code: 128, message: message.into() }
    }
}

/// An error number in the words of the runtime.
fn words(errno: Errno) -> String {
    errno.desc().to_lowercase()
}

fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// A process that runs.
pub struct Process {
    pub pid: u32,
    pub streams: Streams,
    /// What tells of its connections, if that was wanted; or why there is nothing.
    pub caught: Option<Caught>,
}

/// A filter's listener, and what the filter has cost.
pub type Caught = io::Result<(OwnedFd, Privileges)>;

/// The agent's ends of its streams.
pub enum Streams {
    Pipes { stdin: Option<OwnedFd>, stdout: OwnedFd, stderr: OwnedFd },
    Terminal(OwnedFd),
}

/// What to start.
#[derive(Debug, Default)]
pub struct Spec {
    pub argv: Vec<String>,
    pub env: Vec<String>,
    pub working_dir: String,
    /// A working directory that is missing is made.
    pub make_working_dir: bool,
    pub user: Option<String>,
    pub groups: Vec<String>,
    pub tty: bool,
    pub stdin: bool,
    pub size: Option<Size>,
    /// How its connections are to be caught, if at all.
    pub catch: Option<Catch>,
}

/// What a process needs for that.
#[derive(Debug)]
pub enum Catch {
    /// A filter, whose listener the agent gets.
    Filter,
    /// To be in a network namespace.
    Namespace(OwnedFd),
}

impl From<Launch> for Spec {
    fn from(launch: Launch) -> Self {
        let Launch { argv, env, working_dir, user, groups, tty, stdin, size, .. } = launch;
        Self { argv, env, working_dir, make_working_dir: true, user, groups, tty, stdin, size, catch: None }
    }
}

impl From<Exec> for Spec {
    fn from(exec: Exec) -> Self {
        let Exec { id: _, argv, env, working_dir, user, groups, tty, stdin, size } = exec;
        Self { argv, env, working_dir, make_working_dir: false, user, groups, tty, stdin, size, catch: None }
    }
}

/// What the stage is told.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Plan {
    argv: Vec<String>,
    env: Vec<String>,
    working_dir: String,
    make_working_dir: bool,
    identity: Option<user::Identity>,
    terminal: bool,
    /// The number of the descriptor that is to be standard input; none for an empty one.
    stdin: Option<RawFd>,
    /// It gets a filter.
    filter: bool,
    /// The number of the descriptor of its network namespace, if it is not the agent's.
    network: Option<RawFd>,
}

/// Starts it. Blocks for about a millisecond; longer where the file system is slow.
pub fn start(spec: Spec) -> Result<Process, Failure> {
    let Spec { argv, mut env, working_dir, make_working_dir, user, groups, tty, stdin, size, catch } = spec;
    let person = user::resolve(user.as_deref(), &groups)?;
    if !has(&env, "HOME") {
        env.retain(|variable| !variable.starts_with("HOME="));
        env.push(format!("HOME={}", person.home));
    }
    if tty && !has(&env, "TERM") {
        env.push("TERM=xterm".to_owned());
    }
    let working_dir = if working_dir.is_empty() { "/".to_owned() } else { working_dir };
    let identity = person.identity;
    let failed = |errno: Errno| Failure::new("cannot prepare the process's streams", errno);
    let network = match &catch {
        Some(Catch::Namespace(namespace)) => {
            // The stage finds it by its number.
            fcntl(namespace, FcntlArg::F_SETFD(FdFlag::empty())).map_err(failed)?;
            Some(namespace.as_raw_fd())
        }
        Some(Catch::Filter) | None => None,
    };
    let filter = matches!(catch, Some(Catch::Filter));
    let terminal = tty;
    let plan =
        Plan { argv, env, working_dir, make_working_dir, identity, terminal, stdin: None, filter, network };
    if tty {
        let (agents, processes) = terminal::open(size).map_err(|error| failed(errno(&error)))?;
        let (pid, caught) =
            spawn(&plan, processes.try_clone().map_err(|error| failed(errno(&error)))?, processes)?;
        return Ok(Process { pid, streams: Streams::Terminal(agents), caught });
    }
    let (stdout, stdout_end) = output_pipe().map_err(failed)?;
    let (stderr, stderr_end) = output_pipe().map_err(failed)?;
    if !stdin {
        let (pid, caught) = spawn(&plan, stdout_end, stderr_end)?;
        return Ok(Process { pid, streams: Streams::Pipes { stdin: None, stdout, stderr }, caught });
    }
    let (stdin_end, stdin) = pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
    // The stage finds it by its number.
    fcntl(&stdin_end, FcntlArg::F_SETFD(FdFlag::empty())).map_err(failed)?;
    let plan = Plan { stdin: Some(stdin_end.as_raw_fd()), ..plan };
    let (pid, caught) = spawn(&plan, stdout_end, stderr_end)?;
    Ok(Process { pid, streams: Streams::Pipes { stdin: Some(stdin), stdout, stderr }, caught })
}

/// Whether a variable has a value.
fn has(env: &[String], name: &str) -> bool {
    env.iter()
        .any(|variable| variable.split_once('=').is_some_and(|(key, value)| key == name && !value.is_empty()))
}

fn output_pipe() -> nix::Result<(OwnedFd, OwnedFd)> {
    let (agents, processes) = pipe2(OFlag::O_CLOEXEC)?;
    // Larger is faster, but not every kernel grants it to everyone.
    let _ = fcntl(&agents, FcntlArg::F_SETPIPE_SZ(tuning::PIPE));
    Ok((agents, processes))
}

fn spawn(plan: &Plan, stdout: OwnedFd, stderr: OwnedFd) -> Result<(u32, Option<Caught>), Failure> {
    let failed = |error: std::io::Error| Failure::new("cannot start the process's stage", errno(&error));
    let (mut ours, theirs) = UnixStream::pair().map_err(failed)?;
    let mut stage = Command::new("/proc/self/exe");
    stage
        .arg0("sockerless-agent")
        .arg(STAGE)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr));
    stage.args(descriptors::given().map(|limit| limit.to_string()));
    let pid = {
        let _nobody_collects = reap::SPAWNING.lock().unwrap_or_else(PoisonError::into_inner);
        stage.spawn().map_err(failed)?.id()
    };
    // The other ends stay with the stage alone.
    drop(stage);
    let json = serde_json::to_vec(plan).map_err(|error| Failure::other(error.to_string()))?;
    // If the stage is gone already, the answer is missing, too, and the end of the child tells the rest.
    let mut answer = Vec::new();
    let told = ours.write_all(&json).and_then(|()| ours.shutdown(Shutdown::Write));
    let caught =
        told.map(|()| plan.filter.then(|| catch::receive(&mut ours, &mut answer))).map_err(failed)?;
    ours.read_to_end(&mut answer).map_err(failed)?;
    if answer.is_empty() {
        return Ok((pid, caught));
    }
    Err(serde_json::from_slice(&answer).unwrap_or_else(|error| Failure::other(error.to_string())))
}

/// The group of a process of this user; none where the agent may not give it anything.
pub fn group(user: Option<&str>) -> Result<Option<u32>, Failure> {
    Ok(user::resolve(user, &[])?.identity.map(|identity| identity.gid))
}

/// The memory file systems of the last run.
static MADE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Host name and memory file systems, as far as this container may have them. Not where the agent shares either with
/// others: there it is not the first process.
pub fn furnish(hostname: Option<&str>, tmpfs: &[(String, String)]) {
    let first = getpid().as_raw() == 1;
    if let Some(name) = hostname
        && first
        && let Err(error) = sethostname(name)
    {
        say!("the host name {name} is not permitted here: {error}");
    }
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    for path in made.drain(..) {
        // As with dockerd, what was in there ends with the run. Where something still uses it, it is hidden.
        if let Err(error) = umount2(path.as_str(), MntFlags::MNT_DETACH) {
            say!("the memory file system on {path} keeps what it has: {error}");
        }
    }
    for (path, options) in tmpfs {
        if let Err(error) = std::fs::create_dir_all(path) {
            say!("{path} for tmpfs: {error}");
        } else if first && !is_tmpfs(Path::new(path)) {
            let (flags, data) = tmpfs_options(options);
            match mount(Some("tmpfs"), path.as_str(), Some("tmpfs"), flags, Some(data.as_str())) {
                Ok(()) => made.push(path.clone()),
                Err(error) => say!(
                    "a memory file system on {path} is not permitted here, it is an ordinary directory: {error}"
                ),
            }
        }
    }
}

/// The cloud may have mounted it already.
fn is_tmpfs(path: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| {
        let mut fields = line.split(' ').skip(1);
        fields.next().is_some_and(|place| Path::new(place) == path) && fields.next() == Some("tmpfs")
    })
}

/// Docker's defaults, and what the user said.
fn tmpfs_options(options: &str) -> (MsFlags, String) {
    let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let mut data = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => flags |= MsFlags::MS_RDONLY,
            "rw" => flags -= MsFlags::MS_RDONLY,
            "suid" => flags -= MsFlags::MS_NOSUID,
            "nosuid" => flags |= MsFlags::MS_NOSUID,
            "dev" => flags -= MsFlags::MS_NODEV,
            "nodev" => flags |= MsFlags::MS_NODEV,
            "exec" => flags -= MsFlags::MS_NOEXEC,
            "noexec" => flags |= MsFlags::MS_NOEXEC,
            other => data.push(other),
        }
    }
    (flags, data.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_worded_as_the_runtime_words_them() {
        let failure = Failure::new("exec: \"/x\"", Errno::EACCES);
        assert_eq!(failure, Failure { code: 126, message: "exec: \"/x\": permission denied".to_owned() });
        assert_eq!(words(Errno::ENOEXEC), "exec format error");
        assert_eq!(words(Errno::ENOENT), "no such file or directory");
        assert_eq!(words(Errno::EISDIR), "is a directory");
    }

    #[test]
    fn tmpfs_options_become_flags_and_data() {
        assert_eq!(tmpfs_options("").0, MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC);
        assert_eq!(
            tmpfs_options("exec,size=64m,ro,mode=1777"),
            (MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_RDONLY, "size=64m,mode=1777".to_owned())
        );
    }
}

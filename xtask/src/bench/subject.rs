//! What is measured: a daemon that can be started and stopped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::http::Connection;
use crate::{Result, command};

/// How long a daemon may take to answer for the first time.
const READY: Duration = Duration::from_secs(60);

/// A daemon with the busybox image in it.
pub trait Subject {
    /// For messages.
    fn name(&self) -> &'static str;
    /// Its socket.
    fn socket(&self) -> &Path;
    /// Starts it and waits for its first answer; gives the time that this took.
    fn start(&mut self) -> Result<Duration>;
    /// Ends it.
    fn stop(&mut self) -> Result;
    /// The processes that are there when nothing runs.
    fn processes(&self) -> Vec<u32>;
}

/// Waits for the first answer to `_ping`.
pub fn first_answer(socket: &Path, since: Instant) -> Result<Duration> {
    while since.elapsed() < READY {
        let answer =
            Connection::open(socket).and_then(|mut connection| connection.request("GET", "/_ping", b""));
        match answer {
            Ok((200, _)) => return Ok(since.elapsed()),
            _ => std::thread::sleep(Duration::from_micros(500)),
        }
    }
    Err(format!("no answer on {} in time", socket.display()).into())
}

/// The docker CLI for a subject.
pub fn docker(socket: &Path) -> Command {
    let mut command = Command::new("docker");
    command.env("DOCKER_HOST", format!("unix://{}", socket.display())).env_remove("DOCKER_CONTEXT");
    command
}

/// Loads the busybox image.
pub fn load(socket: &Path) -> Result {
    let folder = tempfile::tempdir()?;
    let archive = sockerless_tests::images::write_busybox(folder.path(), "busybox:latest")?;
    command::read(docker(socket).args(["load", "--quiet", "--input"]).arg(archive)).map(drop)
}

/// Ends a child by SIGTERM and waits.
pub fn terminate(mut child: Child) -> Result {
    command::run(Command::new("kill").arg(child.id().to_string()))?;
    child.wait()?;
    Ok(())
}

/// This project's daemon, with its simulator.
pub struct Sockerless {
    program: PathBuf,
    folder: TempDir,
    socket: PathBuf,
    process: Option<Child>,
}

impl Sockerless {
    /// With fresh state: plugins compiled, simulator started, image loaded.
    pub fn new(dist: &Path) -> Result<Self> {
        let folder = TempDir::with_prefix("sockerless-bench-")?;
        let socket = folder.path().join("docker.sock");
        let mut subject = Self { program: dist.join("sockerless"), folder, socket, process: None };
        subject.start()?;
        load(&subject.socket)?;
        command::read(docker(&subject.socket).args(["run", "--rm", "busybox", "true"]))?;
        subject.stop()?;
        Ok(subject)
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }
}

impl Subject for Sockerless {
    fn name(&self) -> &'static str {
        "sockerless"
    }

    fn socket(&self) -> &Path {
        &self.socket
    }

    fn start(&mut self) -> Result<Duration> {
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log"))?;
        let since = Instant::now();
        let child = Command::new(&self.program)
            .args(["serve", "--state"])
            .arg(self.state())
            .arg("--socket")
            .arg(&self.socket)
            .env("SOCKERLESS_CONFIG", "/dev/null")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.process = Some(child);
        first_answer(&self.socket, since)
    }

    fn stop(&mut self) -> Result {
        self.process.take().map_or(Ok(()), terminate)
    }

    fn processes(&self) -> Vec<u32> {
        self.process.iter().map(Child::id).collect()
    }
}

impl Drop for Sockerless {
    fn drop(&mut self) {
        let ended = self.stop().and_then(|()| {
            command::read(
                Command::new(&self.program).args(["simulator", "stop", "--state"]).arg(self.state()),
            )
        });
        if let Err(error) = ended {
            eprintln!("{error}");
        }
    }
}

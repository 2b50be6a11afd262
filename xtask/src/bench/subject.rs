//! What is measured: a daemon that can be started and stopped.

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{http::Connection, image::Image};
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
    /// Connects to a port that a container publishes on 127.0.0.1.
    fn connect(&self, port: u16) -> Result<TcpStream>;
    /// The process of a running container's agent.
    fn agent(&self, container: &str) -> Result<u32>;
    /// The agent's program.
    fn agent_program(&self) -> Result<PathBuf>;
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
    pub fn new(dist: &Path, image: &Image) -> Result<Self> {
        let folder = TempDir::with_prefix("sockerless-bench-")?;
        let socket = folder.path().join("docker.sock");
        let mut subject = Self { program: dist.join("sockerless"), folder, socket, process: None };
        subject.start()?;
        image.load(&subject.socket)?;
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

    fn connect(&self, port: u16) -> Result<TcpStream> {
        Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?)
    }

    fn agent(&self, container: &str) -> Result<u32> {
        let run = format!("SOCKERLESS_RUN={container}.");
        for entry in fs::read_dir("/proc")? {
            let Some(process) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // One that has ended meanwhile is not it.
            let Ok(environment) = fs::read(format!("/proc/{process}/environ")) else { continue };
            if environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(run.as_bytes())) {
                return Ok(process);
            }
        }
        Err(format!("container {container} has no agent").into())
    }

    fn agent_program(&self) -> Result<PathBuf> {
        Ok(self.program.with_file_name("sockerless-agent"))
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

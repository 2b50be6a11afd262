//! The docker CLI, as a user would type it.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// What a command printed and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit code; `128 + signal` when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output of a command that has to succeed, without the last newline.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "the command failed\nstdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout.trim_end_matches('\n').to_owned()
    }

    /// Standard error of a command that has to fail with this code.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!(self.code, code, "exit code\nstdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stderr
    }
}

impl From<std::process::Output> for Output {
    fn from(output: std::process::Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        Self {
            code: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or_default()),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A docker CLI that talks to one daemon and has a configuration of its own.
#[derive(Debug, Clone)]
pub struct Docker {
    socket: PathBuf,
    config: PathBuf,
}

impl Docker {
    /// A CLI for the daemon behind a socket; `config` is its `DOCKER_CONFIG`.
    pub fn new(socket: &Path, config: &Path) -> Self {
        Self { socket: socket.into(), config: config.into() }
    }

    /// `docker ARGS`, not yet started.
    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new("docker");
        command
            .env("DOCKER_HOST", format!("unix://{}", self.socket.display()))
            .env("DOCKER_CONFIG", &self.config)
            .env_remove("DOCKER_CONTEXT")
            .args(args);
        command
    }

    /// Runs `docker ARGS` to its end; arguments are separated by blanks.
    #[track_caller]
    pub fn run(&self, args: &str) -> Output {
        self.args(args.split_whitespace())
    }

    /// Runs `docker ARGS` to its end.
    #[track_caller]
    pub fn args<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        self.command(args).stdin(Stdio::null()).output().expect("the docker CLI is installed").into()
    }

    /// Runs `docker ARGS` with bytes on its standard input.
    #[track_caller]
    pub fn with_input<S: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Output {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the docker CLI is installed");
        let mut stdin = child.stdin.take().expect("piped above");
        let input = input.to_vec();
        // A process that ends without reading its input breaks the pipe; that is its right.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().expect("the child was started above");
        writer.join().expect("the writer does not panic");
        output.into()
    }

    /// Starts `docker ARGS` and leaves it running, its outputs piped.
    #[track_caller]
    pub fn spawn<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Child {
        self.command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the docker CLI is installed")
    }
}

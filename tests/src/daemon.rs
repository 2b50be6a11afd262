//! A daemon for one test.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{fs::MetadataExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use tempfile::TempDir;

use crate::{Backend, Docker, backend, debian, dist, images, programs};

/// The name of the image that `Daemon::with_busybox` loads.
pub const BUSYBOX: &str = "busybox:latest";

/// How long a daemon may take to say that it is ready before the test gives up.
const READY: Duration = Duration::from_secs(60);

/// A running daemon with a simulator of its own. Dropping it ends both and removes their state.
pub struct Daemon {
    process: Option<Child>,
    folder: TempDir,
    backend: &'static Backend,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Daemon {
    /// Starts one.
    #[track_caller]
    pub fn start() -> Self {
        Self::with(&[], &[])
    }

    /// Starts one and loads the busybox image into it.
    #[track_caller]
    pub fn with_busybox() -> Self {
        let daemon = Self::start();
        daemon.load_busybox();
        daemon
    }

    /// Starts one with further arguments and variables.
    #[track_caller]
    pub fn with(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::of(backend(), arguments, environment)
    }

    /// Starts one of this backend, whatever the tests run on: for what is about that cloud alone.
    #[track_caller]
    pub fn of(backend: &'static Backend, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut daemon = Self {
            process: None,
            backend,
            folder: TempDir::with_prefix("sockerless-test-").expect("a temporary folder"),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            environment: environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        };
        fs::create_dir(daemon.folder.path().join("docker")).expect("a fresh folder");
        daemon.share_compiled();
        daemon.launch();
        daemon
    }

    /// What one daemon has compiled of the components the others take: the plugin host looks for it by the component's bytes and
    /// by its own version and settings. A user's is his alone, as it is run as code.
    #[track_caller]
    fn share_compiled(&self) {
        let own = nix::unistd::geteuid().as_raw();
        let shared = dist::target().join(format!("plugin-cache-{own}"));
        // In somebody else's target folder each has its own.
        if fs::create_dir_all(&shared).is_ok() && fs::metadata(&shared).is_ok_and(|meta| meta.uid() == own) {
            fs::create_dir(self.state()).expect("a fresh folder");
            let shared = shared.canonicalize().expect("made above");
            std::os::unix::fs::symlink(shared, self.state().join("cache")).expect("a fresh folder");
        }
    }

    /// Starts the daemon (again) on the same state; returns when it answers.
    #[track_caller]
    pub fn launch(&mut self) {
        let named = self.arguments.iter().any(|argument| argument == "--backend");
        let mut child = Command::new(dist::program("sockerless"))
            .arg("serve")
            .arg("--state")
            .arg(self.state())
            .arg("--socket")
            .arg(self.socket())
            .args(["--backend", self.backend.name].iter().filter(|_| !named))
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(k, v)| (k, v)))
            .env("SOCKERLESS_CONFIG", "/dev/null")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::options().create(true).append(true).open(self.log()).expect("a log file"))
            .spawn()
            .expect("the daemon starts");
        let stdout = child.stdout.take().expect("piped above");
        self.process = Some(child);
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines();
            let first = lines.next();
            let _ = sender.send(first);
            lines.for_each(drop);
        });
        match receiver.recv_timeout(READY) {
            Ok(Some(Ok(_))) => {}
            other => panic!("the daemon did not become ready: {other:?}\n{}", self.log_text()),
        }
    }

    /// Its default backend.
    pub fn backend(&self) -> &'static Backend {
        self.backend
    }

    /// The CLI for this daemon.
    pub fn docker(&self) -> Docker {
        Docker::new(&self.socket(), &self.folder.path().join("docker"))
    }

    /// Loads the busybox image.
    #[track_caller]
    pub fn load_busybox(&self) {
        let shared = dist::target().join("images");
        fs::create_dir_all(&shared).expect("the target folder can be written");
        let archive = images::write_busybox(&shared, BUSYBOX).expect("busybox-static is installed");
        self.docker().args(["load", "--quiet", "--input", &archive.to_string_lossy()]).ok();
    }

    /// Makes an image of busybox with this configuration and loads it.
    #[track_caller]
    pub fn load(&self, spec: &images::ImageSpec) {
        let layer = images::busybox_layer().expect("busybox-static is installed");
        self.load_with(spec, layer);
    }

    /// Makes an image of one layer and loads it.
    #[track_caller]
    pub fn load_with(&self, spec: &images::ImageSpec, layer: images::Layer) {
        let archive = images::archive(spec, layer).expect("an archive in memory");
        self.docker().with_input(["load", "--quiet"], &archive).ok();
    }

    /// Loads the images of [`programs`].
    #[track_caller]
    pub fn load_programs(&self) {
        self.docker().args(["load", "--quiet", "--input", &programs::archive().to_string_lossy()]).ok();
    }

    /// The CLI for this daemon, with the plugin `docker compose`.
    #[track_caller]
    pub fn docker_with_compose(&self) -> Docker {
        let plugins = self.folder.path().join("docker/cli-plugins");
        fs::create_dir_all(&plugins).expect("a folder of ours");
        match std::os::unix::fs::symlink(debian::compose(), plugins.join("docker-compose")) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => panic!("the plugin: {error}"),
            _ => self.docker(),
        }
    }

    /// The daemon's process id.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().map(Child::id).expect("it runs")
    }

    /// `kill -9`: what a power cut is to a process.
    #[track_caller]
    pub fn kill(&mut self) {
        let mut child = self.process.take().expect("it runs");
        child.kill().expect("it is ours");
        child.wait().expect("it was killed");
    }

    /// One raw HTTP/1.1 request on the socket; gives status and body.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
        let mut stream = UnixStream::connect(self.socket()).expect("the daemon listens");
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        // The daemon may answer, and hang up, before it has read an oversized body.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split_whitespace().nth(1).and_then(|code| code.parse().ok());
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        (status.unwrap_or_else(|| panic!("no HTTP answer: {answer}")), body)
    }

    /// The daemon's state folder.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    /// A folder that lives as long as the daemon, for a test's own files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("daemon.log")
    }

    /// What the daemon has logged so far.
    pub fn log_text(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.process {
            let _ = child.kill();
            let _ = child.wait();
        }
        // The simulator is a process of its own that outlives daemons: `down` ends it.
        let down = Command::new(dist::folder().join("sockerless"))
            .args(["simulator", "stop", "--state"])
            .arg(self.state())
            .output();
        if std::thread::panicking() {
            eprintln!("--- the daemon's log ---\n{}\n--- simulator stop: {down:?}", self.log_text());
        }
    }
}

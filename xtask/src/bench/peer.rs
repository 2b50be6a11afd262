//! A real dockerd beside us: the `docker.io` package of this machine's Debian, unpacked and not
//! installed, in a mount and network namespace of its own.

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, setns};

use super::{
    image::Image,
    subject::{Subject, first_answer, terminate},
};
use crate::{Result, command};

/// dockerd, what it starts, and the libraries that a machine without it lacks.
const PACKAGES: [&str; 6] = ["docker.io", "containerd", "runc", "iptables", "libdevmapper1.02.1", "tini"];

/// dockerd with fresh state.
pub struct Dockerd {
    root: PathBuf,
    folder: tempfile::TempDir,
    socket: PathBuf,
    process: Option<Child>,
}

impl Dockerd {
    /// Fetches the packages (once), starts it and loads the image.
    pub fn new(image: &Image) -> Result<Self> {
        let root = unpack()?;
        let folder = tempfile::TempDir::with_prefix("dockerd-bench-")?;
        let socket = folder.path().join("docker.sock");
        let mut subject = Self { root, folder, socket, process: None };
        subject.start()?;
        image.load(&subject.socket)?;
        subject.stop()?;
        Ok(subject)
    }

    /// "dockerd 20.10.24".
    pub fn version(&self) -> Result<String> {
        let text = command::read(self.command("dockerd").arg("--version"))?;
        let version = text.split_whitespace().nth(2).unwrap_or_default().trim_end_matches(',');
        Ok(format!("dockerd {}", version.split('+').next().unwrap_or(version)))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.root.join("usr/sbin").join(program));
        command.env("PATH", self.path()).env("LD_LIBRARY_PATH", self.libraries());
        command
    }

    fn path(&self) -> String {
        let own =
            ["usr/sbin", "usr/bin", "sbin", "bin"].map(|folder| self.root.join(folder).display().to_string());
        format!("{}:{}", own.join(":"), std::env::var("PATH").unwrap_or_default())
    }

    fn libraries(&self) -> String {
        let libraries = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];
        libraries.map(|folder| self.root.join(folder).display().to_string()).join(":")
    }
}

fn unpack() -> Result<PathBuf> {
    let folder = command::root().join("target/peer");
    let root = folder.join("root");
    if root.join("usr/sbin/dockerd").exists() {
        return Ok(root);
    }
    let archives = folder.join("archives");
    fs::create_dir_all(&archives)?;
    let download = || {
        command::run(Command::new("apt-get").current_dir(&archives).args(["download", "-qq"]).args(PACKAGES))
    };
    download().or_else(|_| {
        command::run(Command::new("apt-get").args(["update", "-qq"])).and_then(|()| download())
    })?;
    fs::create_dir_all(&root)?;
    for entry in fs::read_dir(&archives)? {
        command::run(Command::new("dpkg-deb").arg("--extract").arg(entry?.path()).arg(&root))?;
    }
    Ok(root)
}

impl Subject for Dockerd {
    fn name(&self) -> &'static str {
        "dockerd"
    }

    fn socket(&self) -> &Path {
        &self.socket
    }

    fn start(&mut self) -> Result<Duration> {
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log"))?;
        let folder = self.folder.path().display();
        let script = format!(
            "mount --make-rprivate / && mount -t tmpfs tmpfs /run && ip link set lo up && \
             exec dockerd --host unix://{folder}/docker.sock --data-root {folder}/data --exec-root {folder}/exec \
             --pidfile {folder}/pid --iptables=false --ip6tables=false --storage-driver overlay2"
        );
        let since = Instant::now();
        let child = Command::new("unshare")
            .args(["--mount", "--net", "sh", "-c", &script])
            .env("PATH", self.path())
            .env("LD_LIBRARY_PATH", self.libraries())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.process = Some(child);
        first_answer(&self.socket, since).map_err(|error| {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            format!("{error}; dockerd says:\n{log}").into()
        })
    }

    fn stop(&mut self) -> Result {
        self.process.take().map_or(Ok(()), terminate)
    }

    fn processes(&self) -> Vec<u32> {
        let Some(dockerd) = self.process.as_ref().map(Child::id) else {
            return Vec::new();
        };
        let children =
            fs::read_to_string(format!("/proc/{dockerd}/task/{dockerd}/children")).unwrap_or_default();
        std::iter::once(dockerd)
            .chain(children.split_whitespace().filter_map(|pid| pid.parse().ok()))
            .collect()
    }

    /// Its userland proxy listens in its own network namespace.
    fn connect(&self, port: u16) -> Result<TcpStream> {
        let dockerd = self.process.as_ref().map(Child::id).ok_or("dockerd does not run")?;
        let namespace = fs::File::open(format!("/proc/{dockerd}/ns/net"))?;
        // A thread of its own: this one stays where it is. A socket belongs to where it was made.
        let connected = std::thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        });
        Ok(connected.join().map_err(|_| "the thread that connects failed")??)
    }

    fn agent(&self, _: &str) -> Result<u32> {
        Err("dockerd has no agents".into())
    }

    fn agent_program(&self) -> Result<PathBuf> {
        Err("dockerd has no agents".into())
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("{error}");
        }
    }
}

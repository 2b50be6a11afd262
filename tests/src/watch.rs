//! Waiting for what has to come, and telling what a container shows.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{Daemon, Docker};

/// Patience of a test for what has to come; it fails after that.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The pause between two looks: long enough to leave the processor to what is waited for.
const LOOK: Duration = Duration::from_millis(20);

/// Looks again and again until something is there, and gives it. `what` names it in the words of a failed test.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: it does not come");
        std::thread::sleep(LOOK);
    }
}

impl Docker {
    /// `docker inspect --format FORMAT NAME`.
    #[track_caller]
    pub fn shows(&self, name: &str, format: &str) -> String {
        self.args(["inspect", "--format", format, name]).ok()
    }

    /// Waits until `inspect` shows this.
    #[track_caller]
    pub fn until_shows(&self, name: &str, format: &str, wanted: &str) {
        let mut last = String::new();
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            last = self.shows(name, format);
            if last == wanted {
                return;
            }
            std::thread::sleep(LOOK);
        }
        panic!("{name} shows {last:?} for {format}, not {wanted:?}");
    }

    /// Says a line to a container that answers with the same, and ends it.
    #[track_caller]
    pub fn says_and_hears(&self, name: &str) {
        let mut child = self.spawn(["attach", name]);
        let (mut input, mut output) =
            (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        input.write_all(b"heard\n").expect("it reads");
        let mut line = [0; 6];
        output.read_exact(&mut line).expect("it answers");
        assert_eq!(&line, b"heard\n");
        self.args(["kill", name]).ok();
        child.wait().expect("the CLI ends");
    }

    /// Waits until the log, standard output alone, has this line.
    #[track_caller]
    pub fn until_says(&self, name: &str, line: &str) {
        let what = format!("the line {line:?} of {name}");
        until(&what, || {
            self.run(&format!("logs {name}")).stdout.lines().any(|read| read == line).then_some(())
        });
    }

    /// What has happened to a container, by the format of `docker events`.
    #[track_caller]
    pub fn events(&self, name: &str, format: &str) -> Vec<String> {
        // The CLI cuts times to whole seconds: what happened in this one lies before the next.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let (until, container) = ((now + 1).to_string(), format!("container={name}"));
        let told = self
            .args(["events", "--since", "1", "--until", &until, "--filter", &container, "--format", format])
            .ok();
        told.lines().map(|line| line.trim().to_owned()).collect()
    }
}

impl Daemon {
    /// `kill -9` of a container's agents, from outside of the container: as when the cloud's machine breaks down.
    #[track_caller]
    pub fn kill_agent(&self, container: &str) {
        self.agents_of(container).kill();
    }

    /// A container's agents, for when there is no daemon to ask.
    #[track_caller]
    pub fn agents_of(&self, container: &str) -> Agents {
        let id = self.docker().shows(container, "{{.Id}}");
        Agents { run: format!("SOCKERLESS_RUN={id}."), container: container.to_owned() }
    }
}

/// The agents of one container.
#[derive(Debug)]
pub struct Agents {
    /// What their variable begins with.
    run: String,
    container: String,
}

impl Agents {
    /// See [`Daemon::kill_agent`].
    #[track_caller]
    pub fn kill(&self) {
        let Self { run, container } = self;
        let all = std::fs::read_dir("/proc").expect("a machine with /proc").filter_map(Result::ok);
        let is_agent = |folder: &std::path::Path| {
            // What ends while one looks at it is none any more.
            let environment = std::fs::read(folder.join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(run.as_bytes()))
        };
        let agents: Vec<String> = all
            .map(|entry| entry.path())
            .filter(|path| is_agent(path))
            .filter_map(|path| path.file_name().map(|pid| pid.to_string_lossy().into_owned()))
            .collect();
        assert!(!agents.is_empty(), "no agent of {container} is to be seen");
        for pid in agents {
            // One that ended by itself meanwhile is as dead.
            let _ = std::process::Command::new("kill").args(["-9", &pid]).output();
        }
    }
}

/// A door that a container's process waits at until the test lets it through, whether or not the daemon lives.
#[derive(Debug)]
pub struct Gate {
    listener: TcpListener,
    /// The shell command that waits.
    pub command: String,
}

impl Gate {
    /// One that the daemon's containers can reach.
    #[track_caller]
    pub fn of(daemon: &Daemon) -> Self {
        let ready = daemon.ready();
        let listener = TcpListener::bind((ready.text("bind_address"), 0)).expect("a free port");
        let port = listener.local_addr().expect("it listens").port();
        let command = format!("nc {} {port} < /dev/null > /dev/null", ready.text("host_address"));
        Self { listener, command }
    }

    /// Returns when a process waits. It goes on when the guest is dropped.
    #[track_caller]
    pub fn guest(&self) -> TcpStream {
        self.listener.accept().expect("a process comes").0
    }
}

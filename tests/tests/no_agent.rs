//! Containers without an agent run by the cloud's word alone, and with one the cloud's log is left in peace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use serde_json::Value;
use sockerless_tests::{Backend, Daemon, Docker, Gate, backend, until};
use tempfile::TempDir;

/// What has to be set.
const SETTING: &str = "SOCKERLESS_CALLBACK_URL";

fn without_agent() -> Daemon {
    let daemon = Daemon::with(&["--callback-url", "none"], &[]);
    daemon.load_busybox();
    daemon
}

#[test]
fn a_container_runs_with_its_output_and_exit_code_from_the_cloud() {
    let daemon = without_agent();
    let docker = daemon.docker();
    let script = "echo out; echo err >&2; exit 3";
    docker.args(["run", "-d", "--name", "one", "busybox", "sh", "-c", script]).ok();
    assert_eq!(docker.run("wait one").ok(), "3");
    let logs = docker.run("logs one");
    assert_eq!((logs.stdout.as_str(), logs.stderr.as_str()), ("out\n", "err\n"));
    let output = docker.args(["run", "--rm", "busybox", "sh", "-c", script]);
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (3, "out\n", "err\n"));
    assert_eq!(docker.run("inspect --format {{.State.Status}} one").ok(), "exited");
    let info = docker.run("info");
    assert!(info.stderr.contains(SETTING), "{}", info.stderr);
}

#[track_caller]
fn refused(docker: &Docker, command: &str) {
    let output = docker.run(command);
    assert_ne!(output.code, 0, "{command}: {}", output.stdout);
    assert!(output.stderr.contains(SETTING), "{command}: {}", output.stderr);
}

#[test]
fn what_only_an_agent_can_do_is_refused_with_the_setting_that_is_missing() {
    let daemon = without_agent();
    let docker = daemon.docker();
    docker.run("run -d --name one busybox sleep 1000").ok();
    for command in [
        "exec one true",
        "run -i busybox cat",
        "run -p 80 busybox true",
        "run -P --expose 80 busybox true",
        "top one",
        "cp one:/etc/passwd -",
        "kill --signal CONT one",
    ] {
        refused(&docker, command);
    }
    let (status, answer) = daemon.request("GET", "/containers/one/stats?stream=false", &[], b"");
    assert!(status == 501 && answer.contains(SETTING), "{status} {answer}");
    docker.run("stop --timeout 1 one").ok();
    // SIGKILL and SIGTERM are the cloud's to send.
    docker.run("run -d --name two busybox sleep 1000").ok();
    docker.run("kill two").ok();
    docker.run("wait two").ok();
}

/// Stands before the simulator and counts the readings of its log.
struct Counter {
    address: String,
    readings: Arc<AtomicU32>,
    /// The simulator's ready file, once it is known.
    ready: Arc<OnceLock<PathBuf>>,
    folder: TempDir,
}

impl Counter {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (readings, ready) = (Arc::new(AtomicU32::new(0)), Arc::new(OnceLock::<PathBuf>::new()));
        let (count, file) = (Arc::clone(&readings), Arc::clone(&ready));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let ready: Value = serde_json::from_slice(&fs::read(file.wait()).unwrap()).unwrap();
                let base = ready["google"].as_str().or(ready["http"].as_str()).unwrap();
                let simulator = base.strip_prefix("http://").unwrap();
                let server = TcpStream::connect(simulator).unwrap();
                let (back, forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || pass(back, forth, &AtomicU32::new(0)));
                let count = Arc::clone(&count);
                thread::spawn(move || pass(client, server, &count));
            }
        });
        Self { address, readings, ready, folder: TempDir::with_prefix("sockerless-counter-").unwrap() }
    }

    /// A daemon whose plugin reads the log through this.
    fn daemon(&self, more: &str) -> Daemon {
        let config = self.folder.path().join("config.toml");
        let Backend { name, log_endpoint, .. } = backend();
        let text = format!("{more}\n[backends.{name}]\n{log_endpoint} = '{}'\n", self.address);
        fs::write(&config, text).unwrap();
        let daemon = Daemon::with(&["--config", config.to_str().unwrap()], &[]);
        self.ready.set(daemon.state().join(backend().simulator).join("ready.json")).unwrap();
        daemon.load_busybox();
        daemon
    }

    fn readings(&self) -> u32 {
        self.readings.load(Ordering::SeqCst)
    }
}

/// Passes bytes on, and counts requests to the log among them.
fn pass(mut from: TcpStream, mut to: TcpStream, count: &AtomicU32) {
    let request = backend().log_request.as_bytes();
    let mut buffer = [0; 64 * 1024];
    let mut seen = Vec::new();
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        seen.extend_from_slice(&buffer[..length]);
        let found = seen.windows(request.len()).filter(|window| *window == request).count();
        count.fetch_add(u32::try_from(found).unwrap(), Ordering::SeqCst);
        // What may be the beginning of the next one.
        seen.drain(..seen.len().saturating_sub(request.len() - 1));
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

#[test]
fn with_an_agent_the_clouds_log_is_never_asked() {
    let counter = Counter::start();
    let mut daemon = counter.daemon("");
    let docker = daemon.docker();
    assert_eq!(docker.run("run --rm busybox echo out").ok(), "out");
    docker.run("run -d -i --name cat busybox cat").ok();
    daemon.kill();
    daemon.launch();
    docker.says_and_hears("cat");
    assert_eq!(docker.run("logs cat").ok(), "heard");
    docker.run("rm cat").ok();
    assert_eq!(counter.readings(), 0);
}

#[test]
fn what_an_agent_that_is_killed_did_not_deliver_is_read_in_the_clouds_log() {
    let mut daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let gate = Gate::of(&daemon);
    let script = format!("echo before; {}; echo after; echo last >&2; exec sleep 1000", gate.command);
    docker.args(["run", "-d", "--name", "one", "busybox", "sh", "-c", &script]).ok();
    docker.until_says("one", "before");
    let run = daemon.agents_of("one");
    // Nobody takes what comes now.
    daemon.kill();
    drop(gate.guest());
    let cloud = daemon.cloud();
    until("the cloud's log", || ["after", "last"].iter().all(|line| cloud.has_logged(line)).then_some(()));
    run.kill();
    daemon.launch();
    assert_ne!(docker.run("wait one").ok(), "0");
    let logs = docker.run("logs one");
    assert_eq!((logs.stdout.as_str(), logs.stderr.as_str()), ("before\nafter\n", "last\n"));
}

#[test]
fn without_an_agent_the_clouds_log_is_read_page_by_page_and_within_its_quota() {
    let counter = Counter::start();
    let daemon = counter.daemon("callback_url = 'none'");
    let docker = daemon.docker();
    docker.run("run --name lines busybox seq 1 3500").ok();
    let expected: String = (1..=3500).map(|number| format!("{number}\n")).collect();
    assert_eq!(docker.run("logs lines").stdout, expected);
    // A page has a thousand lines; 60 readings are free in a minute.
    assert!((4..=60).contains(&counter.readings()), "{} readings", counter.readings());
}

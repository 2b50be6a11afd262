//! What survives the daemon's death.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{io::Read, net::TcpListener, process::Stdio};

use sockerless_tests::{Daemon, images};

#[test]
fn a_container_that_writes_and_ends_while_the_daemon_is_dead_loses_nothing() {
    let mut daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    // The container asks for leave on a connection of its own, and takes its end for a yes.
    let ready = daemon.ready();
    let leave = TcpListener::bind((ready.text("bind_address"), 0)).unwrap();
    let address = format!("{} {}", ready.text("host_address"), leave.local_addr().unwrap().port());
    let ask = format!("nc {address} < /dev/null > /dev/null");
    let script = format!("echo up; {ask}; seq 1 10000000 | head -c 50000000; {ask}; exit 7");
    docker.args(["run", "-d", "--name", "survivor", "busybox", "sh", "-c", &script]).ok();

    let (asked, _) = leave.accept().unwrap();
    daemon.kill();
    drop(asked);
    let (written, _) = leave.accept().unwrap();
    drop(written);
    daemon.launch();

    assert_eq!(docker.run("wait survivor").ok(), "7");
    let mut child = docker.command(["logs", "survivor"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut bytes = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
    child.wait().unwrap();
    let mut expected = b"up\n".to_vec();
    let numbers = (1..=10_000_000_u32).flat_map(|number| format!("{number}\n").into_bytes());
    expected.extend(numbers.take(50_000_000));
    assert_eq!(bytes.len(), expected.len());
    assert_eq!(images::sha256(&bytes), images::sha256(&expected));
}

#[test]
fn all_containers_are_there_after_a_kill() {
    let mut daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.run("create --name fresh --label a=b busybox true").ok();
    docker.args(["run", "--name", "seven", "busybox", "sh", "-c", "echo said; exit 7"]).fails(7);
    docker.run("run -d --name runs busybox sleep 1000").ok();
    daemon.kill();
    daemon.launch();
    let text = docker.run("ps --all --format {{.Names}}:{{.State}}").ok();
    let mut states: Vec<&str> = text.lines().collect();
    states.sort_unstable();
    assert_eq!(states, ["fresh:created", "runs:running", "seven:exited"]);
    assert_eq!(docker.run("logs seven").ok(), "said");
    assert_eq!(docker.run("inspect --format {{.State.ExitCode}} seven").ok(), "7");
    assert_eq!(docker.run("images --quiet").ok().lines().count(), 1);
    docker.run("kill runs").ok();
    assert_eq!(docker.run("wait runs").ok(), "137");
    docker.run("start fresh").ok();
    assert_eq!(docker.run("wait fresh").ok(), "0");
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused() {
    let daemon = Daemon::start();
    let output: sockerless_tests::Output =
        std::process::Command::new(sockerless_tests::dist::program("sockerless"))
            .args(["serve", "--state"])
            .arg(daemon.state())
            .arg("--socket")
            .arg(daemon.folder().join("other.sock"))
            .env("SOCKERLESS_CONFIG", "/dev/null")
            .output()
            .unwrap()
            .into();
    let words = output.fails(1);
    assert!(words.contains(&daemon.pid().to_string()), "it does not name the other one: {words}");
}

//! Agents that come in over TLS, and trust nothing but the daemon's own certificate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
};

use sockerless_tests::Daemon;

fn with_tls() -> Daemon {
    let daemon = Daemon::with(&["--callback-tls", "on"], &[]);
    daemon.load_busybox();
    daemon
}

#[test]
fn a_container_runs_over_tls_and_its_agent_comes_back_to_a_new_daemon() {
    let mut daemon = with_tls();
    let docker = daemon.docker();
    assert_eq!(docker.run("run --rm busybox echo through").ok(), "through");
    let key = daemon.state().join("callback.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let certificate = fs::read(daemon.state().join("callback.crt")).unwrap();

    docker.run("run -d -i --name cat busybox cat").ok();
    daemon.kill();
    daemon.launch();
    assert_eq!(fs::read(daemon.state().join("callback.crt")).unwrap(), certificate);
    docker.says_and_hears("cat");
}

#[test]
fn nothing_is_said_in_clear_where_agents_come_in() {
    let daemon = with_tls();
    let port: u16 = fs::read_to_string(daemon.state().join("callback.port")).unwrap().trim().parse().unwrap();
    let mut stream = TcpStream::connect((daemon.ready().text("bind_address"), port)).unwrap();
    stream.write_all(b"GET /agent/v1 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // An error is as good as an alert.
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn a_certificate_of_the_operators_is_shown_and_pinned() {
    // One that was made elsewhere, and that no authority vouches for.
    let elsewhere = with_tls();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let (certificate, key) = (elsewhere.state().join("callback.crt"), elsewhere.state().join("callback.key"));
    let text = format!(
        "callback_tls = 'on'\ncallback_certificate = '{}'\ncallback_key = '{}'\n",
        certificate.display(),
        key.display()
    );
    fs::write(&config, text).unwrap();
    let daemon = Daemon::with(&["--config", config.to_str().unwrap()], &[]);
    daemon.load_busybox();
    assert_eq!(daemon.docker().run("run --rm busybox echo through").ok(), "through");
    assert!(!daemon.state().join("callback.crt").exists());
}

#[test]
fn another_certificate_keeps_agents_away_from_who_pretends_to_be_the_daemon() {
    let mut daemon = with_tls();
    let docker = daemon.docker();
    docker.run("run -d --name kept busybox sleep 1000").ok();
    daemon.kill();
    for name in ["callback.crt", "callback.key"] {
        fs::rename(daemon.state().join(name), daemon.folder().join(name)).unwrap();
    }
    // It makes itself a new certificate, which the running container's agent does not know.
    daemon.launch();
    let exec = std::thread::spawn({
        let docker = docker.clone();
        move || docker.run("exec kept echo reached")
    });
    docker.run("run --rm busybox true").ok();
    assert!(!exec.is_finished(), "the agent took a certificate that is not the pinned one");
    daemon.kill();
    assert_ne!(exec.join().unwrap().code, 0);
    // The old one again: the agent comes back.
    for name in ["callback.crt", "callback.key"] {
        fs::rename(daemon.folder().join(name), daemon.state().join(name)).unwrap();
    }
    daemon.launch();
    assert_eq!(docker.run("exec kept echo reached").ok(), "reached");
}

//! What containers reach out of their networks: this daemon, by its mounted socket, and its machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    env, fs,
    io::{Read, Write},
    net::TcpListener,
    path::PathBuf,
    process::Stdio,
    thread,
};

use serde_json::Value;
use sockerless_tests::{
    Daemon, Docker,
    images::{self, ImageSpec},
};

const SOCKET: &str = "/var/run/docker.sock:/var/run/docker.sock";

/// The docker CLI of this machine, if it needs nothing of it.
fn static_cli() -> Option<Vec<u8>> {
    let paths = env::var_os("PATH")?;
    let found =
        env::split_paths(&paths).map(|folder| folder.join("docker")).find(|path: &PathBuf| path.exists());
    let program = fs::read(found?).ok()?;
    // A program that is linked dynamically names its loader.
    (!program.windows(15).take(4096).any(|part| part == b"/lib64/ld-linux")).then_some(program)
}

/// A daemon with busybox and an image with the docker CLI in it; none where the CLI cannot be put into an image.
fn with_cli(arguments: &[&str]) -> Option<Daemon> {
    let Some(cli) = static_cli() else {
        eprintln!("the docker CLI of this machine is not static: passed without");
        return None;
    };
    let daemon = Daemon::with(arguments, &[]);
    daemon.load_busybox();
    let mut layer = images::busybox_layer().unwrap();
    layer.file("bin/docker", 0o755, cli).unwrap();
    let archive = images::archive(&ImageSpec::new("cli:latest"), layer).unwrap();
    let mut load = daemon.docker().command(["load", "-q"]).stdin(Stdio::piped()).spawn().unwrap();
    load.stdin.take().unwrap().write_all(&archive).unwrap();
    assert!(load.wait().unwrap().success());
    Some(daemon)
}

/// What a shell in a container with the socket says.
#[track_caller]
fn inside(docker: &Docker, options: &[&str], script: &str) -> String {
    docker.args([&["run", "--rm", "-v", SOCKET][..], options, &["cli", "sh", "-ec", script]].concat()).ok()
}

#[test]
fn the_docker_cli_in_a_container_speaks_to_this_daemon_by_its_mounted_socket() {
    let Some(daemon) = with_cli(&[]) else { return };
    let docker = daemon.docker();
    docker.run("run -d --name beside busybox sleep 1000").ok();
    let names = inside(
        &docker,
        &["--name", "ci"],
        "docker ps --format '{{.Names}}'; docker version -f '{{.Server.Version}}'",
    );
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    assert!(names.contains(&"beside") && names.contains(&"ci"), "{names:?}");
    // Connections that are taken over from HTTP, with input that ends.
    let script = "docker run --rm busybox echo nested
        echo by-stdin | docker run -i --rm busybox cat
        head -c 300000 /dev/zero | docker exec -i beside wc -c
        docker exec beside sh -c 'exit 7' || echo $?";
    assert_eq!(inside(&docker, &[], script), "nested\nby-stdin\n300000\n7");
    // As dockerd's: for root and its group.
    assert_eq!(inside(&docker, &[], "stat -c '%A %u %g' /var/run/docker.sock"), "srw-rw---- 0 0");
    assert_eq!(inside(&docker, &["-u", "4711:4712"], "docker ps -q --filter name=beside | wc -l"), "1");
}

#[test]
fn a_mounted_socket_may_be_anywhere_and_is_shown_as_the_bind_that_was_asked_for() {
    let Some(daemon) = with_cli(&[]) else { return };
    let docker = daemon.docker();
    let mount = "type=bind,source=/run/docker.sock,target=/tmp/api.sock,readonly";
    let run = ["run", "--name", "ci", "--mount", mount, "-e", "DOCKER_HOST=unix:///tmp/api.sock", "cli"];
    assert_eq!(docker.args([&run[..], &["docker", "ps", "-aq", "--no-trunc"]].concat()).ok().len(), 64);
    let inspect: Value = serde_json::from_str(&docker.run("inspect ci").ok()).unwrap();
    let shown = &inspect[0]["Mounts"][0];
    assert_eq!(shown["Type"], "bind");
    assert_eq!(
        (&shown["Source"], &shown["Destination"]),
        (&"/run/docker.sock".into(), &"/tmp/api.sock".into())
    );
    assert_eq!(shown["RW"], false);
    // It is there again when the container is started again.
    assert_eq!(docker.run("start -a ci").ok().len(), 64);
}

#[test]
fn an_operator_may_refuse_the_socket_and_the_reason_names_the_setting() {
    let daemon = Daemon::with(&["--docker-socket", "refuse"], &[]);
    daemon.load_busybox();
    let words = daemon.docker().args(["run", "--rm", "-v", SOCKET, "busybox", "true"]).fails(125);
    assert!(words.contains("docker_socket") && words.contains("SOCKERLESS_DOCKER_SOCKET"), "{words}");
}

/// Answers HTTP at a port of 127.0.0.1 of this machine; gives the port.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1000]);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\nmachine");
        }
    });
    port
}

#[test]
fn the_daemons_machine_is_reached_where_the_operator_opened_it() {
    let daemon = Daemon::with(&["--host-gateway", "127.0.0.1"], &[]);
    daemon.load_busybox();
    let docker = daemon.docker();
    let port = server();
    docker.run("network create mine").ok();
    for network in ["bridge", "mine"] {
        let run =
            ["run", "--rm", "--network", network, "--add-host", "box:host-gateway", "busybox", "sh", "-ec"];
        let script = format!(
            "for host in host.docker.internal gateway.docker.internal box; do wget -qO- http://$host:{port}/; echo; done"
        );
        assert_eq!(
            docker.args([&run[..], &[&script]].concat()).ok(),
            "machine\nmachine\nmachine",
            "{network}"
        );
    }
}

#[test]
fn nothing_of_the_daemons_machine_is_reached_unless_the_operator_opened_it() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let port = server();
    docker.run("network create mine").ok();
    let words = docker.run("run --rm --add-host box:host-gateway busybox true").fails(125);
    assert!(words.contains("host_gateway") && words.contains("SOCKERLESS_HOST_GATEWAY"), "{words}");
    let get = format!(
        "wget -O- http://host.docker.internal:{port}/ 2>&1 || wget -O- http://172.18.0.1:{port}/ 2>&1"
    );
    let said = docker.args(["run", "--rm", "--network", "mine", "busybox", "sh", "-c", &get]).fails(1);
    let said = format!(
        "{said}{}",
        docker.args(["run", "--rm", "--network", "mine", "busybox", "sh", "-c", &get]).stdout
    );
    assert!(said.contains("bad address") && said.contains("Connection refused"), "{said}");
}

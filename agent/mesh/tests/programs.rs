//! Programs as images have them: static and dynamic, of root and of others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::{os::unix::process::CommandExt, process::Command};

use fixture::{command, present, with};
use rustix::process::geteuid;
use tokio::io::AsyncWriteExt;

/// A peer's server that answers each HTTP request with its name.
async fn http(container: &fixture::Container, peer: [u8; 4], name: &'static str) {
    let serve = move |mut stream: tokio::net::TcpStream| async move {
        use tokio::io::AsyncReadExt;
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let answer = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
        let _ = stream.write_all(answer.as_bytes()).await;
    };
    container.peers.serve(peer, 80, serve).await;
    container.peers.name(name, &[peer]);
}

#[test]
fn a_static_program_and_a_dynamic_one_fetch_a_page_by_name() {
    with(async |container| {
        http(&container, [172, 18, 0, 3], "web").await;
        for fetch in [
            &["/bin/busybox", "wget", "-q", "-O", "-", "http://web/"][..],
            &["/usr/bin/curl", "-s", "http://web/"],
            &[
                "/usr/bin/perl",
                "-MIO::Socket::INET",
                "-e",
                "$s = IO::Socket::INET->new('web:80') or die $!; print $s \"GET / HTTP/1.0\\r\\n\\r\\n\"; @l = <$s>; print $l[-1], ' ', $s->peerhost eq '172.18.0.3' ? '' : $s->peerhost",
            ],
        ] {
            if present(fetch[0]) {
                assert_eq!(container.says(command(fetch[0], &fetch[1..])).await, "web", "{fetch:?}");
            }
        }
    });
}

#[test]
fn another_user_than_root_reaches_peers_by_name() {
    if !geteuid().is_root() || !present("/bin/busybox") {
        return;
    }
    with(async |container| {
        http(&container, [172, 18, 0, 3], "web").await;
        let mut fetch = command("/bin/busybox", &["wget", "-q", "-O", "-", "http://web/"]);
        fetch.uid(65534).gid(65534);
        assert_eq!(container.says(fetch).await, "web");
    });
}

#[test]
fn another_user_than_root_reaches_peers_though_the_agent_may_trace_nobody() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

    if !geteuid().is_root() {
        return;
    }
    // Of this thread and those that it starts: the mesh's.
    let mut sets = capabilities(None).expect("told");
    for set in [&mut sets.effective, &mut sets.permitted] {
        set.remove(CapabilitySet::SYS_PTRACE | CapabilitySet::SYS_ADMIN);
    }
    set_capabilities(None, sets).expect("fewer");
    with(async |container| {
        http(&container, [172, 18, 0, 3], "web").await;
        container.peers.echo_datagrams([172, 18, 0, 3], 5353).await;
        let mut program = fixture::python(
            "s = socket.create_connection(('172.18.0.3', 80)); print(s.getpeername()[0])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('172.18.0.3', 5353)); print(s.recvfrom(99)[1][0])",
        );
        program.uid(65534).gid(65534);
        assert_eq!(container.says(program).await, "172.18.0.3\n172.18.0.3");
    });
}

#[test]
fn a_program_of_musl_and_one_that_calls_as_go_does_reach_peers_by_name() {
    if !present("/usr/bin/musl-gcc") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("caller");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixture/caller.c");
    let made = Command::new("/usr/bin/musl-gcc").args(["-static", "-o"]).arg(&program).arg(source).status();
    assert!(made.expect("a compiler").success());
    let program = program.to_str().expect("a path");
    with(async |container| {
        http(&container, [172, 18, 0, 3], "web").await;
        container.peers.echo_datagrams([172, 18, 0, 3], 5353).await;
        assert_eq!(container.says(command(program, &["musl", "web"])).await, "172.18.0.3\nweb");
        assert_eq!(container.says(command(program, &["go", "web"])).await, "172.18.0.3\nweb");
        let said = container.says(command(program, &["many", "172.18.0.3"])).await;
        assert_eq!(said, "2 sent\n172.18.0.3:5353 one from 172.18.0.3\n172.18.0.3:5353 two from 172.18.0.3");
    });
}

#[test]
fn a_stage_hands_its_listener_over_and_becomes_a_program_that_is_caught() {
    use std::{os::unix::net::UnixStream, process::Stdio, thread};

    use sockerless_mesh::{Filter, filter::receive};

    with(async |container| {
        http(&container, [172, 18, 0, 3], "web").await;
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let stage = thread::spawn(move || {
            Filter::install_and_send(&theirs).expect("a filter");
            let mut fetch = fixture::python(
                "s = socket.create_connection(('172.18.0.3', 80)); print(s.getpeername()[0])",
            );
            fetch.stdout(Stdio::piped()).spawn().expect("started")
        });
        let (read, listener) = receive(&ours, &mut [0; 16]).expect("received");
        assert_eq!(read, 1);
        container.mesh.watch(listener.expect("a listener")).expect("watched");
        let child = stage.join().expect("started");
        assert_eq!(fixture::ended(child).await.stdout, b"172.18.0.3\n");
    });
}

//! Published ports by the docker CLI and plain sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::Command,
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use sockerless_tests::{
    Daemon, Docker,
    images::{ImageSpec, Layer, busybox_layer, sha256},
};

/// Answers each connection with what it says.
const ECHO: &str = "nc -ll -p 7 -e cat";

/// Longer than anything takes; only a failing test meets it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The first address that a port is published at.
#[track_caller]
fn published(docker: &Docker, container: &str, port: &str) -> SocketAddr {
    let text = docker.args(["port", container, port]).ok();
    text.lines().next().unwrap().parse().unwrap()
}

/// A container that echoes, at any port of 127.0.0.1. Returns once its server listens.
#[track_caller]
fn echo(daemon: &Daemon, name: &str) -> SocketAddr {
    let docker = daemon.docker();
    docker.run(&format!("run -d --name {name} -p 127.0.0.1::7 busybox {ECHO}")).ok();
    let address = published(&docker, name, "7");
    listening(address);
    address
}

/// Waits until a server in the container answers.
#[track_caller]
fn listening(address: SocketAddr) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while say(address, b"up").is_none_or(|answer| answer != b"up") {
        assert!(std::time::Instant::now() < deadline, "no server behind {address}");
    }
}

/// What comes back for what is said, when nothing breaks.
fn say(address: SocketAddr, what: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut writer = stream.try_clone().ok()?;
    let what = what.to_vec();
    let writing =
        thread::spawn(move || writer.write_all(&what).and_then(|()| writer.shutdown(Shutdown::Write)));
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    writing.join().ok()?.ok()?;
    Some(answer)
}

#[test]
fn a_connection_goes_through_with_all_its_bytes_and_half_of_it_closed() {
    let daemon = Daemon::with_busybox();
    let address = echo(&daemon, "echo");
    assert_eq!(say(address, b"hello").unwrap(), b"hello");
    let big: Vec<u8> =
        (0..20_000_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let answer = say(address, &big).unwrap();
    assert_eq!((answer.len(), sha256(&answer)), (big.len(), sha256(&big)));
}

#[test]
fn a_published_port_is_shown_by_ps_inspect_and_port() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.run("run -d --name web -p 80 --expose 81 busybox sleep 1000").ok();
    let port = published(&docker, "web", "80").port();
    assert!(docker.run("port web").ok().starts_with(&format!("80/tcp -> 0.0.0.0:{port}")));
    let ps = docker.args(["ps", "--format", "{{.Ports}}"]).ok();
    assert!(ps.contains(&format!("0.0.0.0:{port}->80/tcp")) && ps.contains("81/tcp"), "{ps}");
    let inspect: Value = serde_json::from_str(&docker.run("inspect web").ok()).unwrap();
    let ports = &inspect[0]["NetworkSettings"]["Ports"];
    assert_eq!(ports["80/tcp"][0], json!({"HostIp": "0.0.0.0", "HostPort": port.to_string()}));
    assert!(ports["81/tcp"].is_null());
    assert_eq!(inspect[0]["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"], "");
    docker.run("kill web").ok();
    docker.run("wait web").ok();
    assert_eq!(docker.run("port web").ok(), "");
    TcpListener::bind(("0.0.0.0", port)).unwrap();
}

#[test]
fn all_exposed_ports_of_an_image_are_published_by_one_option() {
    let daemon = Daemon::start();
    let spec = ImageSpec::new("exposing:1")
        .with("ExposedPorts", json!({"7/tcp": {}, "53/udp": {}}))
        .with("Cmd", json!(ECHO.split(' ').collect::<Vec<_>>()));
    daemon.load(&spec);
    let docker = daemon.docker();
    docker.run("run -d -P --name all exposing:1").ok();
    published(&docker, "all", "53/udp");
    let SocketAddr::V4(address) = published(&docker, "all", "7/tcp") else { panic!("not IPv4 first") };
    listening((std::net::Ipv4Addr::LOCALHOST, address.port()).into());
    listening((std::net::Ipv6Addr::LOCALHOST, address.port()).into());
}

#[test]
fn a_connection_that_nobody_takes_in_the_container_is_closed() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.run("run -d --name idle -p 127.0.0.1::80 busybox sleep 1000").ok();
    let mut stream = TcpStream::connect(published(&docker, "idle", "80")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may be closed before it has taken this.
    let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
    let answer = stream.read(&mut [0]);
    let is_reset = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionReset;
    assert!(matches!(answer, Ok(0)) || answer.as_ref().is_err_and(is_reset), "{answer:?}");
}

#[test]
fn what_listens_on_127_0_0_1_alone_is_not_exposed_as_with_dockerd() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let servers = format!("httpd -p 127.0.0.1:8; exec {ECHO}");
    let publish = ["-p", "127.0.0.1::7", "-p", "127.0.0.1::8"];
    docker
        .args([&["run", "-d", "--name", "both"][..], &publish, &["busybox", "sh", "-c", &servers]].concat())
        .ok();
    listening(published(&docker, "both", "7"));
    docker.args(["exec", "both", "sh", "-c", "until echo up | nc 127.0.0.1 8; do sleep 0.05; done"]).ok();
    let mut stream = TcpStream::connect(published(&docker, "both", "8")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_or_default(), 0);
}

#[test]
fn a_port_in_use_is_dockerds_error_and_nothing_is_started() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    docker.run(&format!("run -d --name first -p {taken}:80 busybox sleep 1000")).ok();
    let words = docker.run(&format!("run --name second -p {taken}:80 busybox echo never")).fails(125);
    assert!(
        words.contains("driver failed programming external connectivity on endpoint second (")
            && words.contains(&format!("Bind for {taken} failed: port is already allocated")),
        "{words}"
    );
    assert_eq!(
        docker.run("inspect --format {{.State.Status}}/{{.State.ExitCode}} second").ok(),
        "created/128"
    );
    assert_eq!(docker.run("logs second").ok(), "");

    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let held = other.local_addr().unwrap();
    let words = docker.run(&format!("run --rm --name third -p {held}:80 busybox true")).fails(125);
    assert!(words.contains(&format!("listen tcp4 {held}: bind: address already in use")), "{words}");
    docker.run("inspect third").fails(1);

    // What the first one gives back, the second one can have.
    docker.run("rm --force first").ok();
    docker.run("start second").ok();
}

#[test]
fn ports_that_are_none_are_refused() {
    let daemon = Daemon::with_busybox();
    let create = |port: &str, host: &str| {
        let body = json!({
            "Image": "busybox", "HostConfig": {"PortBindings": {port: [{"HostPort": host}]}},
        });
        let headers = [("Content-Type", "application/json")];
        daemon.request("POST", "/v1.47/containers/create", &headers, body.to_string().as_bytes())
    };
    for (port, host, expected) in [
        ("80/tcp", "99999", "invalid port specification: \\\"99999\\\""),
        ("65536/tcp", "1", "invalid port specification: \\\"65536\\\""),
    ] {
        let (status, answer) = create(port, host);
        assert!(status == 400 && answer.contains(expected), "{status} {answer}");
    }
    let (status, answer) = create("80/sctp", "8080");
    assert!(status == 501 && answer.contains("80/sctp"), "{status} {answer}");
    assert_eq!(daemon.docker().run("ps --all --quiet").ok(), "");
}

/// busybox with perl, which every Debian has, and the libraries that it needs.
fn with_perl() -> Layer {
    let mut layer = busybox_layer().unwrap();
    let perl = "/usr/bin/perl";
    let libraries = Command::new("ldd").arg(perl).output().unwrap();
    let libraries = String::from_utf8(libraries.stdout).unwrap();
    layer.folder("lib64", 0o755).unwrap().folder("lib", 0o755).unwrap();
    layer.file("bin/perl", 0o755, fs::read(perl).unwrap()).unwrap();
    for path in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        let name = path.rsplit('/').next().unwrap();
        let folder = if name.starts_with("ld-") { "lib64" } else { "lib" };
        layer.file(&format!("{folder}/{name}"), 0o755, fs::read(path).unwrap()).unwrap();
    }
    layer
}

#[test]
fn datagrams_go_both_ways_for_each_client() {
    let daemon = Daemon::start();
    let echo = r#"socket(S, 2, 2, 17) and bind(S, pack("Sna4x8", 2, 53, "\0" x 4)) or die $!;
                  while (defined($from = recv(S, $bytes, 65535, 0))) { send(S, $bytes, 0, $from) }"#;
    let spec = ImageSpec::new("perl:1").with("Cmd", json!(["/bin/perl", "-e", echo]));
    daemon.load_with(&spec, with_perl());
    let docker = daemon.docker();
    docker.run("run -d --name dns -p 127.0.0.1::53/udp perl:1").ok();
    let address = published(&docker, "dns", "53/udp");
    let clients: Vec<UdpSocket> = (0..20).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for round in 0..5 {
        for (number, client) in clients.iter().enumerate() {
            client.connect(address).unwrap();
            client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let said = format!("{number} in {round}").into_bytes();
            let mut answer = [0; 64];
            // Datagrams may be lost, at first while the server does not listen yet.
            let heard = (0..120).find_map(|_| {
                client.send(&said).unwrap();
                client.recv(&mut answer).ok()
            });
            assert_eq!(&answer[..heard.expect("an answer")], said);
            while client.set_nonblocking(true).is_ok() && client.recv(&mut answer).is_ok() {}
            client.set_nonblocking(false).unwrap();
        }
    }
}

/// An echo server that serves many connections in one process.
const MANY: &str = r#"socket(L, 2, 1, 6) and bind(L, pack("Sna4x8", 2, 7, "\0" x 4)) and listen(L, 4096) or die $!;
    vec($all, fileno(L), 1) = 1;
    while (select($ready = $all, undef, undef, undef)) {
        for my $fd (0 .. 8 * length($ready) - 1) {
            next unless vec($ready, $fd, 1);
            if ($fd == fileno(L)) {
                accept(my $client, L) or next;
                vec($all, fileno($client), 1) = 1;
                $clients{fileno($client)} = $client;
            } elsif (sysread($clients{$fd}, my $bytes, 65536)) {
                syswrite($clients{$fd}, $bytes);
            } else {
                vec($all, $fd, 1) = 0;
                close(delete $clients{$fd});
            }
        }
    }"#;

#[test]
fn a_thousand_connections_at_once_stay_apart() {
    let daemon = Daemon::start();
    daemon.load_with(&ImageSpec::new("perl:1").with("Cmd", json!(["/bin/perl", "-e", MANY])), with_perl());
    let docker = daemon.docker();
    docker.run("run -d --name many -p 127.0.0.1::7 perl:1").ok();
    let address = published(&docker, "many", "7");
    listening(address);
    let mut streams: Vec<TcpStream> = (0..1000)
        .map(|number: u32| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(&number.to_be_bytes()).unwrap();
            stream
        })
        .collect();
    for (number, stream) in streams.iter_mut().enumerate() {
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(u32::from_be_bytes(answer) as usize, number);
    }
}

#[test]
fn a_new_daemon_listens_at_the_same_ports() {
    let mut daemon = Daemon::with_busybox();
    let address = echo(&daemon, "kept");
    daemon.kill();
    assert!(TcpStream::connect(address).is_err());
    daemon.launch();
    assert_eq!(published(&daemon.docker(), "kept", "7"), address);
    assert_eq!(say(address, b"again").unwrap(), b"again");
}

#[test]
fn a_restart_keeps_the_ports_and_a_container_that_ends_gives_them_back() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let address = echo(&daemon, "web");
    docker.run("restart --timeout 0 web").ok();
    assert_eq!(published(&docker, "web", "7"), address);
    listening(address);
    docker.run("stop --timeout 0 web").ok();
    TcpListener::bind(address).unwrap();
}

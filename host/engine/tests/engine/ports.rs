//! Published ports, with real sockets and scripted agents.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use bollard_stubs::models::{ContainerSummary, PortBinding, PortTypeEnum};
use sockerless_engine::{CreateRequest, Error, ErrorKind, ListRequest};
use sockerless_ports::link::{
    Output, Reach, RunId, Target,
    request::{End, Fault, FaultKind, Protocol, Reply, Request},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
};

use crate::world::{channel::AgentEnd, *};

fn bind(port: &str, ip: &str, host_port: &str) -> impl FnOnce(&mut CreateRequest) {
    let (port, ip, host_port) = (port.to_owned(), ip.to_owned(), host_port.to_owned());
    move |request| {
        let binding = PortBinding { host_ip: Some(ip), host_port: Some(host_port) };
        let all = request.host.port_bindings.get_or_insert_with(HashMap::new);
        all.entry(port).or_default().get_or_insert_default().push(binding);
    }
}

/// Where a running container's port is published.
fn published(world: &World, container: &str, port: &str) -> Vec<SocketAddr> {
    let ports = world.engine.inspect(container, false).unwrap().network_settings.unwrap().ports.unwrap();
    let bindings = ports.get(port).cloned().flatten().unwrap_or_default();
    let parse = |binding: PortBinding| {
        SocketAddr::new(
            binding.host_ip.unwrap().parse().unwrap(),
            binding.host_port.unwrap().parse().unwrap(),
        )
    };
    bindings.into_iter().map(parse).collect()
}

/// A container whose port 80 is published at any port of 127.0.0.1.
async fn run(world: &World, name: &str) -> SocketAddr {
    world.create_with(name, &["sleep"], bind("80/tcp", "127.0.0.1", "")).await;
    world.engine.start(name).await.unwrap();
    published(world, name, "80/tcp")[0]
}

/// A server in the container: it answers with the port and all that the client had sent, once the client is done.
async fn answer(request: Request, channel: AgentEnd) {
    let Request::Reach(Reach { from, target, .. }) = request else { panic!("{request:?}") };
    let Target { port, address, .. } = target;
    // As from the gateway of the container's network.
    assert_eq!((from.octets()[3], address.octets()[..3] == from.octets()[..3]), (1, true));
    channel.reply(Reply::Ready);
    let said = channel.read_all().await;
    let answer = format!("{port}: {}", String::from_utf8(said).unwrap());
    channel.write(Output::Stdout, answer).await;
    channel.end(End::Done);
}

async fn ask(address: SocketAddr, said: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(said.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn fails(world: &World, name: &str) -> String {
    let Error { kind, message } = world.engine.start(name).await.unwrap_err();
    assert_eq!(kind, ErrorKind::Internal);
    let (before, words) = message.split_once("): ").unwrap();
    assert!(
        before.starts_with(&format!("driver failed programming external connectivity on endpoint {name} (")),
        "{message}"
    );
    words.to_owned()
}

#[tokio::test]
async fn a_connection_reaches_the_container_and_half_of_it_may_be_closed() {
    let world = World::new().await;
    world.link.serve(answer);
    let address = run(&world, "web").await;
    assert_eq!(ask(address, "hello").await, "80: hello");
}

#[tokio::test]
async fn a_thousand_connections_are_carried_at_once() {
    let world = World::new().await;
    world.link.serve(answer);
    let address = run(&world, "web").await;
    let mut streams = Vec::new();
    for number in 0..1000 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{number}").as_bytes()).await.unwrap();
        streams.push(stream);
    }
    for (number, mut stream) in streams.into_iter().enumerate() {
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, format!("80: {number}"));
    }
}

#[tokio::test]
async fn a_connection_that_nobody_takes_is_closed_again() {
    let world = World::new().await;
    world.link.serve(|_, channel| async move {
        channel
            .reply(Reply::Failed(Fault { kind: FaultKind::Refused, message: "connection refused".into() }));
    });
    let mut stream = TcpStream::connect(run(&world, "web").await).await.unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or_default(), 0);
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_container_is_reset_for_the_client() {
    let world = World::new().await;
    world.link.serve(|_, channel| async move {
        channel.reply(Reply::Ready);
        channel.write(Output::Stdout, "half of it").await;
        channel.end(End::Failed(Fault { kind: FaultKind::Internal, message: "reset by peer".into() }));
    });
    let mut stream = TcpStream::connect(run(&world, "web").await).await.unwrap();
    let mut all = Vec::new();
    // The first end is that of the container's own direction.
    stream.read_to_end(&mut all).await.unwrap_or_default();
    while let Ok(()) = stream.write_all(b"more").await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_container_from_writing() {
    let world = World::new().await;
    let (progress, mut written) = tokio::sync::watch::channel(0usize);
    world.link.serve(move |_, channel| {
        let progress = progress.clone();
        async move {
            channel.reply(Reply::Ready);
            for _ in 0..1024 {
                channel.write(Output::Stdout, vec![b'x'; 32 * 1024]).await;
                progress.send_modify(|written| *written += 32 * 1024);
            }
            channel.end(End::Done);
        }
    });
    let mut stream = TcpStream::connect(run(&world, "web").await).await.unwrap();
    stream.shutdown().await.unwrap();
    // It stands still while nobody reads; the kernel's buffers take a few megabytes.
    while tokio::time::timeout(Duration::from_millis(300), written.changed()).await.is_ok() {}
    assert!(*written.borrow() < 1024 * 32 * 1024, "all was written although nobody read");
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    assert_eq!(all.len(), 1024 * 32 * 1024);
}

#[tokio::test]
async fn a_connection_waits_a_little_while_the_line_is_down() {
    let world = World::new().await;
    world.link.serve(answer);
    let id = world.create_with("web", &["sleep"], bind("80/tcp", "127.0.0.1", "")).await;
    world.engine.start("web").await.unwrap();
    let address = published(&world, "web", "80/tcp")[0];
    let run = RunId { container: id, generation: 1 };
    world.link.connect(&run, false);
    let asking = tokio::spawn(async move { ask(address, "patience").await });
    // The connection itself is there at once.
    TcpStream::connect(address).await.unwrap();
    assert!(!asking.is_finished());
    world.link.connect(&run, true);
    assert_eq!(asking.await.unwrap(), "80: patience");
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_given_up_when_the_line_stays_down() {
    let world = World::new().await;
    world.link.serve(answer);
    let id = world.create_with("web", &["sleep"], bind("80/tcp", "127.0.0.1", "")).await;
    world.engine.start("web").await.unwrap();
    let address = published(&world, "web", "80/tcp")[0];
    world.link.connect(&RunId { container: id, generation: 1 }, false);
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or_default(), 0);
}

#[tokio::test]
async fn a_client_that_breaks_off_closes_the_connection_in_the_container() {
    let world = World::new().await;
    let (closed, mut told) = tokio::sync::mpsc::channel(1);
    world.link.serve(move |_, channel| {
        let closed = closed.clone();
        async move {
            channel.reply(Reply::Ready);
            channel.read().await;
            channel.closed().await;
            closed.send(()).await.unwrap();
        }
    });
    let mut stream = TcpStream::connect(run(&world, "web").await).await.unwrap();
    stream.write_all(b"begun").await.unwrap();
    stream.set_zero_linger().unwrap();
    drop(stream);
    told.recv().await.unwrap();
}

#[tokio::test]
async fn a_port_of_another_container_stops_the_start_before_anything_is_made() {
    let world = World::new().await;
    let address = run(&world, "first").await;
    let port = address.port().to_string();
    world.create_with("second", &["sleep"], bind("80/tcp", "127.0.0.1", &port)).await;
    let jobs = world.cloud.jobs();
    let words = fails(&world, "second").await;
    assert_eq!(words, format!("Bind for {address} failed: port is already allocated"));
    assert_eq!(world.cloud.jobs(), jobs);
    let state = world.engine.inspect("second", false).unwrap().state.unwrap();
    assert_eq!((state.exit_code, state.error.unwrap().ends_with(&words)), (Some(128), true));
    assert_eq!(world.status("second").to_string(), "created");
}

#[tokio::test]
async fn a_port_of_another_program_stops_the_start_too() {
    let world = World::new().await;
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = other.local_addr().unwrap();
    let port = address.port().to_string();
    world.create_with("web", &["sleep"], bind("80/tcp", "127.0.0.1", &port)).await;
    let expected =
        format!("Error starting userland proxy: listen tcp4 {address}: bind: address already in use");
    assert_eq!(fails(&world, "web").await, expected);
    world.create_with("all", &["sleep"], bind("80/tcp", "", &port)).await;
    let expected =
        format!("Error starting userland proxy: listen tcp4 0.0.0.0:{port}: bind: address already in use");
    assert_eq!(fails(&world, "all").await, expected);
    world.create_with("far", &["sleep"], bind("80/tcp", "192.0.2.1", "8080")).await;
    let expected =
        "Error starting userland proxy: listen tcp4 192.0.2.1:8080: bind: cannot assign requested address";
    assert_eq!(fails(&world, "far").await, expected);
}

#[tokio::test]
async fn a_failed_start_holds_none_of_its_ports() {
    let world = World::new().await;
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = other.local_addr().unwrap().port().to_string();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    world
        .create_with("web", &["sleep"], |request| {
            bind("80/tcp", "127.0.0.1", &free.port().to_string())(request);
            bind("81/tcp", "127.0.0.1", &taken)(request);
        })
        .await;
    fails(&world, "web").await;
    TcpListener::bind(free).await.unwrap();
    // Nor does the daemon think so.
    world.create_with("next", &["sleep"], bind("80/tcp", "127.0.0.1", &free.port().to_string())).await;
    world.engine.start("next").await.unwrap();
}

#[tokio::test]
async fn the_first_free_port_of_a_range_is_taken() {
    let world = World::new().await;
    // Two neighbours that are free.
    let (first, second) = loop {
        let one = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let next = SocketAddr::new(one.ip(), one.port() + 1);
        if TcpListener::bind(next).await.is_ok() {
            break (one, next);
        }
    };
    let range = format!("{}-{}", first.port(), second.port());
    for name in ["one", "two", "three"] {
        world.create_with(name, &["sleep"], bind("80/tcp", "127.0.0.1", &range)).await;
    }
    world.engine.start("one").await.unwrap();
    world.engine.start("two").await.unwrap();
    assert_eq!(published(&world, "one", "80/tcp"), [first]);
    assert_eq!(published(&world, "two", "80/tcp"), [second]);
    assert_eq!(fails(&world, "three").await, "all ports are allocated");
}

#[tokio::test]
async fn ports_are_free_when_the_end_is_seen_and_the_same_after_a_restart() {
    let world = World::new().await;
    world.link.serve(answer);
    let address = run(&world, "web").await;
    world.engine.kill("web", None).await.unwrap();
    world.wait("web").await;
    assert_eq!(published(&world, "web", "80/tcp"), []);
    drop(std::net::TcpListener::bind(address).unwrap());
    world.engine.start("web").await.unwrap();
    assert_eq!(published(&world, "web", "80/tcp"), [address]);
    world.engine.restart("web", None, Some(0)).await.unwrap();
    assert_eq!(published(&world, "web", "80/tcp"), [address]);
    assert_eq!(ask(address, "again").await, "80: again");
}

#[tokio::test]
async fn a_new_daemon_opens_the_ports_of_containers_that_run() {
    let mut world = World::new().await;
    world.link.serve(answer);
    let address = run(&world, "web").await;
    world.crash().await;
    drop(std::net::TcpListener::bind(address).unwrap());
    world.reopen().await;
    assert_eq!(published(&world, "web", "80/tcp"), [address]);
    assert_eq!(ask(address, "still there").await, "80: still there");
}

#[tokio::test]
async fn without_an_address_both_families_get_the_same_port() {
    let world = World::new().await;
    world.create_with("web", &["sleep"], bind("80/tcp", "", "")).await;
    world.engine.start("web").await.unwrap();
    let addresses = published(&world, "web", "80/tcp");
    assert!(addresses[0].is_ipv4() && addresses[0].ip().is_unspecified(), "{addresses:?}");
    assert!(addresses.iter().all(|address| address.port() == addresses[0].port()));
}

#[tokio::test]
async fn all_exposed_ports_are_published_and_shown_in_lists() {
    let world = World::new().await;
    world
        .create_with("web", &["sleep"], |request| {
            request.config.exposed_ports = Some(vec!["80/tcp".into(), "53/udp".into()]);
            request.host.publish_all_ports = Some(true);
        })
        .await;
    world
        .create_with("hidden", &["sleep"], |request| {
            request.config.exposed_ports = Some(vec!["80/tcp".into()])
        })
        .await;
    world.engine.start("web").await.unwrap();
    world.engine.start("hidden").await.unwrap();
    assert!(!published(&world, "web", "53/udp").is_empty());
    let list = world.engine.list(&ListRequest::default()).unwrap();
    let list: Vec<ContainerSummary> = serde_json::from_slice(&list.json).unwrap();
    let ports = |name: &str| {
        let found = list.iter().find(|one| one.names.as_ref().unwrap()[0] == format!("/{name}")).unwrap();
        found.ports.clone().unwrap()
    };
    assert!(ports("web").iter().any(|port| port.private_port == 53
        && port.typ == Some(PortTypeEnum::UDP)
        && port.public_port.is_some()
        && port.ip.as_deref() == Some("0.0.0.0")));
    let hidden = &ports("hidden")[0];
    assert_eq!((hidden.private_port, hidden.public_port), (80, None));
}

#[tokio::test]
async fn each_client_of_a_udp_port_has_its_own_session() {
    let world = World::new().await;
    world.link.serve(|request, channel| async move {
        let Request::Reach(Reach { target, .. }) = request else { panic!("{request:?}") };
        assert_eq!((target.protocol, target.port), (Protocol::Udp, 53));
        channel.reply(Reply::Ready);
        let mut count = 0u8;
        while let Some(bytes) = channel.read().await {
            // Length and bytes, as they came: back with the number of this session's datagram.
            count += 1;
            let mut answer = vec![0, bytes[1] + 1];
            answer.extend_from_slice(&bytes[2..]);
            answer.push(b'0' + count);
            channel.write(Output::Stdout, answer).await;
        }
    });
    world.create_with("dns", &["sleep"], bind("53/udp", "127.0.0.1", "")).await;
    world.engine.start("dns").await.unwrap();
    let address = published(&world, "dns", "53/udp")[0];
    for client in ["a", "b"] {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(address).await.unwrap();
        for number in 1..=2 {
            socket.send(client.as_bytes()).await.unwrap();
            let mut answer = [0; 8];
            let length = socket.recv(&mut answer).await.unwrap();
            assert_eq!(answer[..length], *format!("{client}{number}").as_bytes());
        }
    }
}

#[tokio::test]
async fn malformed_ports_are_refused_when_the_container_is_created() {
    let world = World::new().await;
    for (port, host_port, words) in [
        ("99999/tcp", "1", "invalid port specification: \"99999\""),
        ("80/tcp", "99999", "invalid port specification: \"99999\""),
        ("80/tcp", "x", "invalid port specification: \"x\""),
        ("80/tcp", "90-80", "invalid port specification: \"90-80\""),
        ("80-81/tcp", "1", "invalid port specification: \"80-81\""),
        ("80/foo", "1", "invalid proto: foo"),
    ] {
        let mut request = request("", &["sleep"]);
        bind(port, "", host_port)(&mut request);
        let error = world.engine.create(request).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Invalid, words));
    }
    let mut request = request("", &["sleep"]);
    bind("80/sctp", "", "8080")(&mut request);
    let error = world.engine.create(request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("80/sctp"), "{error}");
}

#[tokio::test]
async fn without_an_agent_ports_are_refused_with_the_setting_that_is_missing() {
    let world = World::with(None, everything()).await;
    let mut request = request("", &["sleep"]);
    bind("80/tcp", "", "8080")(&mut request);
    let error = world.engine.create(request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("SOCKERLESS_CALLBACK_URL"), "{error}");
}

//! Connections between containers: two real agents, the real link between them, and programs that know of nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod fixture;

use std::{net::SocketAddr, sync::Arc};

use fixture::{
    Daemon,
    mesh::{Pair, at, python, soon},
    proxy::{Proxy, Weather},
};
use sockerless_ports::link::{
    Link, Output, Rung,
    request::{Exec, Reply, Request},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A server on all addresses, and its port.
async fn server() -> (TcpListener, u16) {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Answers each connection with all that it has sent, after its end.
fn echo(listener: TcpListener) {
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut all = Vec::new();
                stream.read_to_end(&mut all).await.unwrap();
                stream.write_all(&all).await.unwrap();
            });
        }
    });
}

#[tokio::test]
async fn a_program_reaches_another_container_by_name_and_by_address_with_half_close() {
    let (listener, port) = server().await;
    let pair = Pair::new(python(&format!(
        "import socket
for host in ('b', '172.18.0.3'):
    s = socket.create_connection((host, {port}))
    peer = s.getpeername()[0]
    s.sendall(b'x' * 300000)
    s.shutdown(socket.SHUT_WR)
    print(peer, sum(len(p) for p in iter(lambda: s.recv(65536), b'')))"
    )))
    .await;
    let (mut first, peer) = soon(listener.accept()).await.unwrap();
    assert_eq!(peer.ip(), SocketAddr::new(sockerless_mesh::shadow(at(2)).into(), 0).ip(), "not 127.0.0.1");
    let mut all = Vec::new();
    soon(first.read_to_end(&mut all)).await.unwrap();
    first.write_all(&all).await.unwrap();
    drop(first);
    echo(listener);
    assert_eq!(pair.said().await, "172.18.0.3 300000\n172.18.0.3 300000\n");
    let caught = pair.script.caught.borrow().clone();
    assert!(caught.iter().any(|(run, catching)| *run == pair.a.run && catching.rung == Rung::Seccomp));
}

#[tokio::test]
async fn refused_stays_refused_nobody_is_unreachable_and_loopback_is_not_exposed() {
    let hidden = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = hidden.local_addr().unwrap().port();
    let pair = Pair::new(python(&format!(
        "import socket, errno
for host, port in (('b', {port}), ('172.18.0.3', 1), ('172.18.0.9', 1), ('172.18.0.7', 1)):
    try: socket.create_connection((host, port)); print('connected')
    except OSError as e: print(errno.errorcode[e.errno])"
    )))
    .await;
    assert_eq!(pair.said().await, "ECONNREFUSED\nECONNREFUSED\nEHOSTUNREACH\nEHOSTUNREACH\n");
    let asked = pair.script.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|(run, _)| *run == pair.a.run), "each speaks for itself");
}

#[tokio::test]
async fn a_slow_reader_holds_up_the_writer_and_nobody_else() {
    let (slow, slow_port) = server().await;
    let (quick, quick_port) = server().await;
    let pair = Pair::new(python(&format!(
        "import socket, threading
slow = socket.create_connection(('b', {slow_port}))
writing = threading.Thread(target=lambda: (slow.sendall(b's' * (64 << 20)), slow.shutdown(socket.SHUT_WR)))
writing.start()
quick = socket.create_connection(('b', {quick_port}))
for i in range(100):
    quick.sendall(b'ping'); assert quick.recv(4) == b'pong'
print('quick', writing.is_alive(), flush=True)
quick.close()
writing.join()
print(slow.recv(9))"
    )))
    .await;
    let (mut stalled, _) = soon(slow.accept()).await.unwrap();
    let (mut stream, _) = soon(quick.accept()).await.unwrap();
    let mut ping = [0; 4];
    for _ in 0..100 {
        soon(stream.read_exact(&mut ping)).await.unwrap();
        stream.write_all(b"pong").await.unwrap();
    }
    pair.a.engine.until(|kept| kept.stdout.ends_with(b"quick True\n")).await;
    let (mut count, mut buffer) = (0, vec![0; 1 << 20]);
    while let read @ 1.. = soon(stalled.read(&mut buffer)).await.unwrap() {
        count += read;
    }
    assert_eq!(count, 64 << 20);
    stalled.write_all(b"all there").await.unwrap();
    drop(stalled);
    assert_eq!(pair.said().await, "quick True\nb'all there'\n");
}

#[tokio::test]
async fn a_thousand_connections_at_once_are_carried() {
    let (listener, port) = server().await;
    echo(listener);
    let pair = Pair::new(python(&format!(
        "import socket, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
all = [socket.create_connection(('b', {port})) for _ in range(1000)]
for i, s in enumerate(all): s.sendall(b'%d' % i * 100); s.shutdown(socket.SHUT_WR)
for i, s in enumerate(all): assert b''.join(iter(lambda: s.recv(65536), b'')) == b'%d' % i * 100
print('done')"
    )))
    .await;
    assert_eq!(pair.said().await, "done\n");
}

#[tokio::test]
async fn a_line_that_is_cut_again_and_again_loses_nothing_of_a_connection() {
    let (listener, port) = server().await;
    echo(listener);
    let daemon = Daemon::start(0).await;
    let weather = Weather { cuts: 12, most: 600_000, rough: true };
    let mut proxies = Vec::new();
    for seed in [1, 2] {
        proxies.push(Proxy::start(daemon.port, seed, weather).await);
    }
    let ports = [proxies[0].port, proxies[1].port];
    let source = format!(
        "import socket, hashlib, random
sent = random.Random(1).randbytes(4 << 20)
s = socket.create_connection(('b', {port}))
s.sendall(sent); s.shutdown(socket.SHUT_WR)
came = b''.join(iter(lambda: s.recv(65536), b''))
print(len(came), came == sent)"
    );
    let pair = Pair::through(python(&source), daemon, |_| ports).await;
    assert_eq!(pair.said().await, "4194304 True\n");
}

#[tokio::test]
async fn a_connection_ends_with_the_container_at_its_other_end() {
    let (listener, port) = server().await;
    let pair = Pair::new(python(&format!(
        "import socket, errno
s = socket.create_connection(('b', {port}))
print('there', flush=True)
try: print(s.recv(1))
except OSError as e: print(errno.errorcode[e.errno])"
    )))
    .await;
    let (_stream, _) = soon(listener.accept()).await.unwrap();
    pair.a.engine.until(|kept| kept.stdout == b"there\n").await;
    pair.daemon.link.dismiss(&pair.b.run);
    assert_eq!(pair.said().await, "there\nECONNRESET\n");
}

#[tokio::test]
async fn the_process_at_the_other_end_sees_a_reset_when_the_container_that_connected_is_gone() {
    let (listener, port) = server().await;
    let pair = Pair::new(python(&format!(
        "import socket, time
s = socket.create_connection(('b', {port}))
time.sleep(1000)"
    )))
    .await;
    let (mut stream, _) = soon(listener.accept()).await.unwrap();
    pair.daemon.link.dismiss(&pair.a.run);
    let error = soon(stream.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn datagrams_go_both_ways() {
    let socket = tokio::net::UdpSocket::bind("0.0.0.0:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let pair = Pair::new(python(&format!(
        "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b'question', ('172.18.0.3', {port}))
print(s.recvfrom(100))"
    )))
    .await;
    let mut buffer = [0; 100];
    let (count, from) = soon(socket.recv_from(&mut buffer)).await.unwrap();
    assert_eq!(&buffer[..count], b"question");
    socket.send_to(b"answer", from).await.unwrap();
    assert_eq!(pair.said().await, format!("(b'answer', ('172.18.0.3', {port}))\n"));
}

#[tokio::test]
async fn who_joins_the_network_later_is_found_then() {
    let (listener, port) = server().await;
    echo(listener);
    let pair = Pair::new(python(&format!(
        "import socket, time
def known():
    try: return socket.gethostbyname('late')
    except OSError: return None
assert known() is None
print('waiting', flush=True)
while not known(): time.sleep(0.02)
s = socket.create_connection(('late', {port})); s.sendall(b'hello'); s.shutdown(socket.SHUT_WR)
print(s.recv(5))"
    )))
    .await;
    pair.a.engine.until(|kept| kept.stdout == b"waiting\n").await;
    pair.script.views.lock().unwrap().insert(pair.a.run.clone(), fixture::mesh::view(2, &[("late", 3)]));
    pair.daemon.link.refresh(&pair.a.run);
    assert_eq!(pair.said().await, "waiting\nb'hello'\n");
}

#[tokio::test]
async fn what_is_executed_beside_the_process_reaches_other_containers_too() {
    let (listener, port) = server().await;
    echo(listener);
    let pair = Pair::new(python("import time; time.sleep(1000)")).await;
    pair.a.engine.until(|kept| !kept.started.is_empty()).await;
    let script = format!(
        "import socket; s = socket.create_connection(('b', {port})); s.send(b'hi'); s.shutdown(1); print(s.recv(9))"
    );
    let exec = Exec {
        id: "e".repeat(64),
        argv: ["/usr/bin/env", "python3", "-c", &script].map(str::to_owned).to_vec(),
        env: vec!["PATH=/usr/bin:/bin".to_owned()],
        ..Exec::default()
    };
    let opened = soon(pair.daemon.link.open(&pair.a.run, Request::Exec(Box::new(exec)))).await;
    let (reply, channel) = opened.unwrap();
    assert!(matches!(reply, Reply::Started { .. }), "{reply:?}");
    let mut said = Vec::new();
    while let Some((output, bytes)) = soon(channel.read()).await {
        assert_eq!(output, Output::Stdout, "{}", String::from_utf8_lossy(&bytes));
        said.extend_from_slice(&bytes);
    }
    assert_eq!(said, b"b'hi'\n");
}

#[tokio::test]
async fn a_container_that_is_not_to_be_caught_has_no_filter() {
    let pair =
        Pair::new(python("print(open('/proc/self/status').read().split('Seccomp_filters:')[1].split()[0])"))
            .await;
    let filtered: u32 = pair.said().await.trim().parse().unwrap();
    let plain = fixture::World::new(python(
        "print(open('/proc/self/status').read().split('Seccomp_filters:')[1].split()[0])",
    ))
    .await;
    plain.engine.exit().await;
    let kept = String::from_utf8(plain.engine.kept.borrow().stdout.clone()).unwrap();
    assert_eq!(kept.trim().parse::<u32>().unwrap() + 1, filtered);
}

#[tokio::test]
async fn a_daemon_that_restarts_breaks_connections_off_and_carries_new_ones() {
    let (listener, port) = server().await;
    let mut pair = Pair::new(python(&format!(
        "import socket, errno
s = socket.create_connection(('b', {port}))
print('there', flush=True)
try: print(s.recv(1))
except OSError as e: print(errno.errorcode[e.errno], flush=True)
s = socket.create_connection(('b', {port}))
s.sendall(b'again'); s.shutdown(socket.SHUT_WR)
print(s.recv(5))"
    )))
    .await;
    let (_stream, _) = soon(listener.accept()).await.unwrap();
    pair.a.engine.until(|kept| kept.stdout == b"there\n").await;
    let (script, before) = (Arc::clone(&pair.script), pair.daemon);
    let daemon = Daemon::start(before.stop().await).await;
    daemon.link.join(script as _);
    for member in [&pair.a, &pair.b] {
        let secret = member.engine.kept.borrow().secret;
        daemon.link.admit(fixture::admission(member.run.generation, secret), Arc::clone(&member.engine) as _);
    }
    pair.daemon = daemon;
    echo(listener);
    assert_eq!(pair.said().await, "there\nECONNRESET\nb'again'\n");
}

//! The ladder of ways in which a container's connections are caught: each rung by name, and the files that tell names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod fixture;

use std::{fs, net::IpAddr, path::Path};

use fixture::mesh::{Pair, at, python, soon};
use sockerless_mesh::shadow;
use sockerless_ports::link::{
    Link, Output, Reach, Rung, Target,
    request::{Protocol, Reply, Request},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Where a listener of `b` is, that no other container has: on all addresses it would be everybody's on this machine.
async fn server_of_b() -> (TcpListener, u16) {
    let listener = TcpListener::bind((shadow(at(3)), 0)).await.unwrap();
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

fn etc() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hosts"), "10.0.0.1 of-the-image\n").unwrap();
    fs::write(folder.path().join("resolv.conf"), "nameserver 10.0.0.53\nsearch internal\n").unwrap();
    folder
}

fn hosts(etc: &Path) -> String {
    fs::read_to_string(etc.join("hosts")).unwrap()
}

/// Only root has network namespaces; a machine without TUN has none either.
fn may_tun() -> bool {
    let may = nix::unistd::geteuid().is_root() && Path::new("/dev/net/tun").exists();
    if !may {
        eprintln!("no network namespace can be had here: not tested");
    }
    may
}

#[tokio::test]
async fn hosts_and_resolv_conf_are_as_dockerd_writes_them_and_follow_the_networks() {
    let etc = etc();
    let launch = python("import time; print('there', flush=True); time.sleep(1000)");
    let pair = Pair::told(launch, etc.path(), |view| {
        view.own_names = vec!["web.example".to_owned(), "web".to_owned()];
        view.hosts.insert("given".to_owned(), vec![IpAddr::from([9, 9, 9, 9])]);
        view.name_servers = vec![IpAddr::from([1, 1, 1, 1])];
        view.resolver_options = vec!["ndots:1".to_owned()];
    })
    .await;
    pair.a.engine.until(|kept| kept.stdout == b"there\n").await;
    let file = hosts(etc.path());
    assert!(file.starts_with("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"), "{file}");
    assert!(file.ends_with("9.9.9.9\tgiven\n172.18.0.2\tweb.example web\n"), "{file}");
    assert_eq!(
        fs::read_to_string(etc.path().join("resolv.conf")).unwrap(),
        "search internal\nnameserver 1.1.1.1\noptions ndots:1\n"
    );
    // A network more, while a program has written something of its own.
    fs::write(etc.path().join("hosts"), file + "8.8.8.8 mine\n").unwrap();
    {
        let mut views = pair.script.views.lock().unwrap();
        let view = views.get_mut(&pair.a.run).unwrap();
        let mut other = fixture::mesh::view(2, &[]).networks.remove(0);
        (other.name, other.subnet, other.address) =
            ("other".into(), [10, 7, 0, 0].into(), [10, 7, 0, 5].into());
        view.networks.push(other);
        view.hosts.clear();
    }
    pair.daemon.link.refresh(&pair.a.run);
    let changed = async {
        while !hosts(etc.path()).contains("10.7.0.5\tweb.example web\n") {
            tokio::task::yield_now().await;
        }
    };
    soon(changed).await;
    let file = hosts(etc.path());
    assert!(file.contains("8.8.8.8 mine\n") && file.contains("172.18.0.2\tweb.example web\n"), "{file}");
    assert!(!file.contains("given"), "{file}");
}

#[tokio::test]
async fn a_gateway_that_leads_somewhere_is_an_address_as_any_other() {
    let etc = etc();
    // Here it leads to `b`: what it is, is the daemon's business.
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    echo(listener);
    let source = format!(
        "import socket
s = socket.create_connection(('host.docker.internal', {port}))
peer = s.getpeername()[0]
s.sendall(b'hello'); s.shutdown(socket.SHUT_WR); print(peer, s.recv(9))"
    );
    let pair = Pair::told(python(&source), etc.path(), |view| {
        view.hosts.insert("host.docker.internal".to_owned(), vec![IpAddr::V4(at(1))]);
    });
    assert_eq!(pair.await.said().await, "172.18.0.1 b'hello'\n");
    assert!(hosts(etc.path()).contains("172.18.0.1\thost.docker.internal\n"));
}

#[tokio::test]
async fn rung_seccomp_is_the_first_and_can_be_asked_for() {
    let etc = etc();
    let (listener, port) = server_of_b().await;
    echo(listener);
    let source = format!(
        "import socket
s = socket.create_connection(('b', {port})); s.sendall(b'hello'); s.shutdown(socket.SHUT_WR); print(s.recv(9))"
    );
    let pair = Pair::told(python(&source), etc.path(), |view| view.rung = Some(Rung::Seccomp)).await;
    assert_eq!(pair.said().await, "b'hello'\n");
    assert_eq!(pair.caught(|_| true).await.rung, Rung::Seccomp);
}

#[tokio::test]
async fn rung_loopback_reaches_others_by_the_names_in_hosts_and_warns() {
    let etc = etc();
    let (listener, port) = server_of_b().await;
    echo(listener);
    let source = format!(
        "import socket, time
lines = [l.split() for l in open('{}/hosts')]
b = [l[0] for l in lines if 'b' in l[1:]][0]; own = [l[0] for l in lines if 'a' in l[1:]][0]
def reach():
    try: return socket.create_connection((b, {port}))
    except ConnectionRefusedError: time.sleep(0.02)
s = None
while not s: s = reach()
s.sendall(b'hello'); s.shutdown(socket.SHUT_WR); print(s.recv(9), b.startswith('127.0.1.') and b != own, own)",
        etc.path().display()
    );
    let pair = Pair::told(python(&source), etc.path(), |view| {
        view.rung = Some(Rung::Loopback);
        view.own_names = vec!["a".to_owned()];
    })
    .await;
    assert_eq!(pair.said().await, "b'hello' True 127.0.1.1\n");
    let caught = pair.caught(|how| how.rung == Rung::Loopback).await;
    assert!(
        caught.warning.starts_with("other containers are reached by name and TCP alone"),
        "{}",
        caught.warning
    );
}

#[tokio::test]
async fn rung_loopback_tells_of_a_port_that_the_container_itself_has() {
    let etc = etc();
    // On this machine, everybody's.
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let launch = python("import time; time.sleep(1000)");
    let pair = Pair::told(launch, etc.path(), |view| view.rung = Some(Rung::Loopback)).await;
    let caught = pair.caught(|how| how.warning.contains(&format!("b.net:{port}"))).await;
    assert_eq!(caught.rung, Rung::Loopback);
}

#[tokio::test]
async fn rung_loopback_is_none_where_hosts_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let etc = folder.path().join("missing");
    let launch = python("print('runs all the same')");
    let pair = Pair::told(launch, &etc, |view| view.rung = Some(Rung::Loopback)).await;
    assert_eq!(pair.said().await, "runs all the same\n");
    let caught = pair.caught(|_| true).await;
    assert_eq!(caught.rung, Rung::None);
    assert!(
        caught.warning.starts_with("this container cannot reach others: loopback: "),
        "{}",
        caught.warning
    );
}

#[tokio::test]
async fn rung_tun_reaches_others_and_is_reached_by_its_address_alone() {
    if !may_tun() {
        return;
    }
    let etc = etc();
    let (listener, port) = server_of_b().await;
    let source = format!(
        "import socket
a = socket.create_server(('', 0)); hidden = socket.create_server(('127.0.0.1', 0))
s = socket.create_connection(('172.18.0.3', {port}))
s.sendall(b'%d %d' % (a.getsockname()[1], hidden.getsockname()[1])); s.shutdown(socket.SHUT_WR)
print(s.getpeername()[0], s.getsockname()[0], flush=True)
c, who = a.accept(); print(who[0]); c.sendall(c.recv(9)); c.close()
try: socket.create_connection(('172.18.0.9', 1))
except OSError as e: print(e.errno)"
    );
    let pair = Pair::told(python(&source), etc.path(), |view| view.rung = Some(Rung::Tun)).await;
    let (mut stream, _) = soon(listener.accept()).await.unwrap();
    let mut ports = String::new();
    soon(stream.read_to_string(&mut ports)).await.unwrap();
    let ports: Vec<u16> = ports.split(' ').map(|port| port.parse().unwrap()).collect();
    let reach = |port| {
        let target = Target { protocol: Protocol::Tcp, address: at(2), port };
        Request::Reach(Reach { from: at(3), target, window: 65_536 })
    };
    let link = &pair.daemon.link;
    let (reply, _) = soon(link.open(&pair.a.run, reach(ports[1]))).await.unwrap();
    assert!(matches!(reply, Reply::Failed(_)), "{reply:?}");
    let (reply, channel) = soon(link.open(&pair.a.run, reach(ports[0]))).await.unwrap();
    assert_eq!(reply, Reply::Ready);
    channel.write(bytes::Bytes::from_static(b"hello")).await.unwrap();
    assert_eq!(soon(channel.read()).await, Some((Output::Stdout, bytes::Bytes::from_static(b"hello"))));
    drop(channel);
    stream.shutdown().await.unwrap();
    assert_eq!(pair.said().await, "172.18.0.3 172.18.0.2\n172.18.0.3\n113\n");
    assert_eq!(pair.caught(|_| true).await.rung, Rung::Tun);
}

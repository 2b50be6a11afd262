//! The rung `tun`: programs in a network namespace of their own, whose packets lead to peers and outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::AsRawFd,
    process::Command,
    rc::Rc,
};

use fixture::{Container, OWN, command, present, with};
use sockerless_mesh::Tun;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    task::spawn_local,
};

/// A namespace, or why it is not tested here.
fn tun(container: &Container) -> Option<Tun> {
    if !present("/usr/bin/nsenter") {
        return None;
    }
    match Tun::start(Rc::clone(&container.peers), container.addresses.clone()) {
        Ok(tun) => Some(tun),
        Err(error) => {
            eprintln!("no namespace can be had here: not tested: {error}");
            None
        }
    }
}

/// Runs a Python program in the namespace.
async fn python(tun: &Tun, program: &str) -> String {
    let namespace = tun.namespace().unwrap();
    let place = format!("--net=/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd());
    let prelude = "import errno, os, socket, struct, sys, threading, time\n";
    let mut command: Command =
        command("/usr/bin/nsenter", &[&place, "/usr/bin/python3", "-c", &format!("{prelude}{program}")]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let output = fixture::ended(command.spawn().unwrap()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_program_reaches_peers_by_address_and_by_name_with_half_close_and_any_amount() {
    with(async |container| {
        let Some(tun) = tun(&container) else { return };
        container.peers.echo([172, 18, 0, 3], 8080).await;
        container.peers.name("web", &[[172, 18, 0, 3]]);
        let said = python(
            &tun,
            "s = socket.create_connection(('172.18.0.3', 8080))
print(s.getpeername(), s.getsockname()[0])
data = os.urandom(30_000_000)
writing = threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR))); writing.start()
said = b''.join(iter(lambda: s.recv(1 << 20), b'')); print(said == b'172.18.0.3:8080\\n' + data)
q = struct.pack('>6H', 77, 0x100, 1, 0, 0, 0) + b'\\3web\\0' + struct.pack('>2H', 1, 1)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.sendto(q, ('192.0.2.53', 53))
a, who = u.recvfrom(512); print(socket.inet_ntoa(a[-4:]), who)
t = socket.create_connection(('192.0.2.53', 53)); t.sendall(struct.pack('>H', len(q)) + q)
print(socket.inet_ntoa(t.recv(512)[-4:]))",
        )
        .await;
        assert_eq!(said, "('172.18.0.3', 8080) 172.18.0.2\nTrue\n172.18.0.3 ('192.0.2.53', 53)\n172.18.0.3");
    });
}

#[test]
fn refused_is_refused_and_nobody_is_unreachable() {
    with(async |container| {
        let Some(tun) = tun(&container) else { return };
        container.peers.echo([172, 18, 0, 3], 8080).await;
        let said = python(
            &tun,
            "for to in ('172.18.0.3', 1), ('172.18.0.9', 1), ('172.18.0.2', 1), ('127.0.0.1', 1):
    try: socket.create_connection(to)
    except OSError as e: print(errno.errorcode[e.errno])",
        )
        .await;
        assert_eq!(said, "ECONNREFUSED\nEHOSTUNREACH\nECONNREFUSED\nECONNREFUSED");
    });
}

#[test]
fn many_connections_at_once_are_carried_and_their_ports_used_again() {
    with(async |container| {
        let Some(tun) = tun(&container) else { return };
        container.peers.echo([172, 18, 0, 3], 8080).await;
        let said = python(
            &tun,
            "def one(n):
    for i in range(20):
        s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('', 20000 + n))
        try: s.connect(('172.18.0.3', 8080))
        except OSError as e:
            # The port waits for its last packets, as on any network.
            assert e.errno == errno.EADDRNOTAVAIL, e
            s.close(); s = socket.create_connection(('172.18.0.3', 8080))
        s.sendall(b'%d' % i); s.shutdown(socket.SHUT_WR)
        assert s.makefile('rb').read() == b'172.18.0.3:8080\\n%d' % i; s.close()
all = [threading.Thread(target=one, args=(n,)) for n in range(50)]
[t.start() for t in all]; [t.join() for t in all]; print('done')",
        )
        .await;
        assert_eq!(said, "done");
    });
}

#[test]
fn what_is_no_peer_is_reached_outside_by_connection_and_by_datagram() {
    with(async |container| {
        let Some(tun) = tun(&container) else { return };
        // An address of this machine that is none of loopback, if it has one.
        let probe = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        if probe.connect("192.0.2.1:9").await.is_err() {
            return eprintln!("this machine has no network: not tested");
        }
        let here = probe.local_addr().unwrap().ip();
        let listener = TcpListener::bind((here, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let socket = UdpSocket::bind((here, 0)).await.unwrap();
        let udp = socket.local_addr().unwrap().port();
        spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"outside").await.unwrap();
        });
        spawn_local(async move {
            let mut buffer = [0; 99];
            let (count, from) = socket.recv_from(&mut buffer).await.unwrap();
            socket.send_to(&[b"heard ", &buffer[..count]].concat(), from).await.unwrap();
        });
        let said = python(
            &tun,
            &format!(
                "s = socket.create_connection(('{here}', {port})); print(s.makefile().read())
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.sendto(b'hello', ('{here}', {udp})); print(u.recvfrom(99))
try: socket.create_connection(('{here}', 1))
except OSError as e: print(errno.errorcode[e.errno])"
            ),
        )
        .await;
        assert_eq!(said, format!("outside\n(b'heard hello', ('{here}', {udp}))\nECONNREFUSED"));
    });
}

#[test]
fn peers_reach_what_listens_there_with_their_own_address_and_not_what_listens_on_localhost() {
    with(async |container| {
        let Some(tun) = tun(&container) else { return };
        container.peers.echo_datagrams([172, 18, 0, 3], 5353).await;
        // The program says on which ports it listens by a datagram to a peer of its own, and waits for both.
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let notes = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        container.peers.notes([172, 18, 0, 4], 9, notes.local_addr().unwrap());
        spawn_local(async move {
            let mut buffer = [0; 99];
            while let Ok(count) = notes.recv(&mut buffer).await {
                tell.send(String::from_utf8_lossy(&buffer[..count]).into_owned()).unwrap();
            }
        });
        let program = python(
            &tun,
            "a = socket.create_server(('', 0)); b = socket.create_server(('127.0.0.1', 0))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('', 0))
e = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); e.sendto(b'x', ('172.18.0.3', 5353)); print(e.recvfrom(99))
n = ' '.join(str(s.getsockname()[1]) for s in (a, b, u)); e.sendto(n.encode(), ('172.18.0.4', 9))
c, who = a.accept(); print(who[0], c.getsockname()[0]); c.sendall(c.recv(99)); c.close()
d, who = u.recvfrom(99); print(d, who[0]); u.sendto(b'answer', who)",
        );
        let peers = async {
            let ports = told.recv().await.unwrap();
            let ports: Vec<u16> = ports.split(' ').map(|port| port.parse().unwrap()).collect();
            let at = |port| SocketAddrV4::new(OWN.into(), port);
            let peer = Ipv4Addr::from([172, 18, 0, 3]);
            let refused = tun.connect(peer, at(ports[1])).await.err().unwrap();
            assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
            let (mut stream, _seat) = tun.connect(peer, at(ports[0])).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            let mut said = Vec::new();
            stream.read_to_end(&mut said).await.unwrap();
            assert_eq!(said, b"hello");
            let (socket, seat) = tun.datagrams(peer, at(ports[2])).unwrap();
            socket.send_to(b"question", seat.address()).await.unwrap();
            let mut buffer = [0; 99];
            let (count, from) = socket.recv_from(&mut buffer).await.unwrap();
            assert_eq!((&buffer[..count], from), (&b"answer"[..], seat.address().into()));
        };
        let (said, ()) = tokio::join!(program, peers);
        let own = Ipv4Addr::from(OWN);
        assert_eq!(
            said,
            format!("(b'172.18.0.3:5353 x', ('172.18.0.3', 5353))\n172.18.0.3 {own}\nb'question' 172.18.0.3")
        );
    });
}

#[test]
fn networks_come_and_go_while_it_runs() {
    with(async |container| {
        let Some(tun) = tun(&container) else { return };
        let mut networks = vec![
            sockerless_mesh::Network { subnet: [172, 18, 0, 0].into(), prefix: 24, own: OWN.into() },
            sockerless_mesh::Network { subnet: [10, 9, 8, 0].into(), prefix: 24, own: [10, 9, 8, 7].into() },
        ];
        container.peers.echo([10, 9, 8, 3], 80).await;
        container.addresses.replace(networks.clone());
        tun.replace().unwrap();
        let ask = "s = socket.create_connection(('10.9.8.3', 80)); print(s.getsockname()[0], s.recv(99))";
        assert_eq!(python(&tun, ask).await, "10.9.8.7 b'10.9.8.3:80\\n'");
        networks.pop();
        container.addresses.replace(networks);
        tun.replace().unwrap();
        let own = "s = socket.socket()
try: s.bind(('10.9.8.7', 0))
except OSError as e: print(errno.errorcode[e.errno])";
        assert_eq!(python(&tun, own).await, "EADDRNOTAVAIL");
    });
}

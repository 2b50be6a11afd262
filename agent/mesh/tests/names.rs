//! Names that real resolvers look up: glibc's, musl's, busybox's, and one that speaks as a static Go program does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::{net::Ipv4Addr, process::Command};

use fixture::{command, present, with};
use rustix::process::geteuid;
use tokio::{net::UdpSocket, task::spawn_local};

/// A name server of the machine that answers every question with "no such name". `None` where a test may not listen on its port.
async fn elsewhere(address: [u8; 4]) -> Option<()> {
    let socket = UdpSocket::bind((Ipv4Addr::from(address), 53)).await.ok()?;
    spawn_local(async move {
        let mut buffer = vec![0; 1024];
        loop {
            let (count, from) = socket.recv_from(&mut buffer).await.expect("received");
            buffer[2] |= 0x80;
            buffer[3] = 0x83;
            socket.send_to(&buffer[..count], from).await.expect("sent");
        }
    });
    Some(())
}

/// Asks a name server for an address over UDP in the manner given, and prints the answer's code, its addresses, and whom it came from.
const QUESTION: &str = "
def question(name, kind=1):
    labels = b''.join(bytes([len(l)]) + l.encode() for l in name.split('.'))
    return struct.pack('>6H', 77, 0x100, 1, 0, 0, 0) + labels + b'\\0' + struct.pack('>2H', kind, 1)
def told(answer):
    code, count = answer[3] & 15, struct.unpack('>H', answer[6:8])[0]
    return code, [socket.inet_ntoa(answer[len(answer) - 16 * (count - i) + 12:][:4]) for i in range(count)]
";

#[test]
fn a_name_of_the_mesh_is_found_whatever_name_server_is_asked_and_however() {
    with(async |container| {
        container.peers.name("postgres", &[[172, 18, 0, 3]]);
        // Unconnected as musl does, connected as glibc and Go do, by messages, by IPv6, and by TCP.
        let said = container
            .python(&format!(
                "{QUESTION}
q = question('Postgres')
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(q, ('192.0.2.53', 53))
a, who = s.recvfrom(512); print(told(a), who)
s.sendmsg([q[:9], q[9:]], [], 0, ('192.0.2.54', 53))
a, _, flags, who = s.recvmsg(512); print(told(a), flags, who)
c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
c.connect(('192.0.2.53', 53)); c.send(q)
a, who = c.recvfrom(512); print(told(a), who, c.getpeername())
c.send(q); print(told(os.read(c.fileno(), 512)))
six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
six.sendto(q, ('2001:db8::53', 53))
a, who = six.recvfrom(512); print(told(a), who)
t = socket.create_connection(('192.0.2.53', 53))
t.sendall(struct.pack('>H', len(q)) + q); t.shutdown(socket.SHUT_WR)
f = t.makefile('rb'); print(told(f.read(struct.unpack('>H', f.read(2))[0])), f.read())
s.sendto(question('postgres', 28), ('192.0.2.53', 53)); print(told(s.recv(512)))"
            ))
            .await;
        let expected = "(0, ['172.18.0.3']) ('192.0.2.53', 53)
(0, ['172.18.0.3']) 0 ('192.0.2.54', 53)
(0, ['172.18.0.3']) ('192.0.2.53', 53) ('192.0.2.53', 53)
(0, ['172.18.0.3'])
(0, ['172.18.0.3']) ('2001:db8::53', 53, 0, 0)
(0, ['172.18.0.3']) b''
(0, [])";
        assert_eq!(said, expected);
    });
}

/// A program that sees another `resolv.conf`, in a mount namespace of its own: only root may make one.
fn under(resolv: &str, shell: &str) -> Command {
    let script = format!(
        "f=$(mktemp) && printf '{resolv}' >$f && mount --make-rprivate / && mount --bind $f /etc/resolv.conf && rm $f && {shell}"
    );
    command("/usr/bin/unshare", &["--mount", "/bin/sh", "-c", &script])
}

#[test]
fn glibc_finds_names_and_what_stands_behind_addresses() {
    if !geteuid().is_root() {
        return;
    }
    with(async |container| {
        container.peers.name("postgres", &[[172, 18, 0, 3]]);
        for line in [
            "nameserver 192.0.2.53\\n",
            "nameserver 2001:db8::53\\noptions edns0\\n",
            "options use-vc\\nnameserver 192.0.2.53\\n",
        ] {
            let said = container.says(under(line, "getent ahosts postgres")).await;
            assert!(said.starts_with("172.18.0.3 "), "{line}: {said}");
            assert!(!said.contains(':'), "{line}: {said}");
        }
        let said = container.says(under("nameserver 192.0.2.53\\n", "getent hosts 172.18.0.3")).await;
        assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["172.18.0.3", "postgres.net"]);
    });
}

#[test]
fn busybox_finds_names() {
    if !geteuid().is_root() || !present("/bin/busybox") {
        return;
    }
    with(async |container| {
        container.peers.name("postgres", &[[172, 18, 0, 3]]);
        let shell = "busybox nslookup postgres && busybox nslookup 172.18.0.3";
        let said = container.says(under("nameserver 192.0.2.53\\n", shell)).await;
        assert!(said.contains("Address: 172.18.0.3") || said.contains("Address 1: 172.18.0.3"), "{said}");
        assert!(said.contains("postgres.net"), "{said}");
    });
}

#[test]
fn several_addresses_behind_one_name_take_turns() {
    with(async |container| {
        container.peers.name("web", &[[172, 18, 0, 3], [172, 18, 0, 4]]);
        let said = container
            .python(&format!(
                "{QUESTION}
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(4):
    s.sendto(question('web'), ('192.0.2.53', 53)); print(told(s.recvfrom(512)[0])[1][0])"
            ))
            .await;
        let said: Vec<&str> = said.lines().collect();
        assert_eq!(said[..2], said[2..]);
        assert_ne!(said[0], said[1]);
    });
}

#[test]
fn other_names_are_asked_of_the_server_that_the_program_has_named() {
    with(async |container| {
        container.peers.name("postgres", &[[172, 18, 0, 3]]);
        if elsewhere([127, 83, 0, 1]).await.is_none() {
            return;
        }
        let said = container
            .python(&format!(
                "{QUESTION}
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(question('example.com'), ('127.83.0.1', 53)); a, who = s.recvfrom(512); print(told(a), who)
s.sendto(question('postgres'), ('127.83.0.1', 53)); a, who = s.recvfrom(512); print(told(a), who)
s.sendto(question('example.com'), ('127.83.0.2', 53)); a, who = s.recvfrom(512); print(told(a), who)
s.sendto(question('9.0.18.172.in-addr.arpa', 12), ('127.83.0.1', 53)); print(told(s.recv(512)))"
            ))
            .await;
        // Nobody listens at the second server: a failure at once, not silence.
        let expected = "(3, []) ('127.83.0.1', 53)
(0, ['172.18.0.3']) ('127.83.0.1', 53)
(2, []) ('127.83.0.2', 53)
(3, [])";
        assert_eq!(said, expected);
    });
}

#[test]
fn other_names_are_asked_of_the_name_servers_that_stand_in_one_after_the_other() {
    with(async |container| {
        // The first is a container that answers nothing; the second one of the machine's.
        container.peers.servers.replace(vec![([172, 18, 0, 9], 53).into(), ([127, 0, 53, 7], 53).into()]);
        if elsewhere([127, 0, 53, 7]).await.is_none() {
            return eprintln!("no name server can be had here: not tested");
        }
        let ask = format!(
            "{QUESTION}
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(question('example.org'), ('192.0.2.53', 53))
a, who = s.recvfrom(512); print(told(a)[0], who)"
        );
        assert_eq!(container.python(&ask).await, "3 ('192.0.2.53', 53)");
    });
}

#[test]
fn a_name_server_that_is_a_container_itself_is_asked_through_the_mesh() {
    with(async |container| {
        container.peers.echo_datagrams([172, 18, 0, 3], 53).await;
        container.peers.servers.replace(vec![([172, 18, 0, 3], 53).into()]);
        // The peer answers with its address before the question: its first bytes are the question's number.
        let said = container
            .python(&format!(
                "{QUESTION}
q = b'17' + question('example.org')[2:]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(q, ('192.0.2.53', 53))
a, who = s.recvfrom(512); print(a[:13], a[14:] == q, who)"
            ))
            .await;
        assert_eq!(said, "b'172.18.0.3:53' True ('192.0.2.53', 53)");
    });
}

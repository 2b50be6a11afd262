//! Datagrams of real programs to peers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use fixture::with;

#[test]
fn answers_seem_to_come_from_the_peer_however_they_are_sent_and_received() {
    with(async |container| {
        container.peers.echo_datagrams([172, 18, 0, 3], 5353).await;
        container.peers.echo_datagrams([172, 18, 0, 4], 5353).await;
        let said = container
            .python(
                "a, b = ('172.18.0.3', 5353), ('172.18.0.4', 5353)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20)
s.sendto(b'one', a); print(s.recvfrom(99))
s.sendto(b'two', b); print(s.recvfrom(99))
s.sendmsg([b'th', b'ree'], [], 0, a); print(s.recvmsg_into([bytearray(3), bytearray(99)])[0::3])
s.connect(b); s.send(b'four'); print(s.recvfrom(99), s.getpeername(), s.getsockname()[0])
s.send(b'five'); print(s.recv(99))
six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
six.sendto(b'six', ('::ffff:172.18.0.3', 5353)); print(six.recvfrom(99))
s.send(b'x' * 40000); print(len(s.recv(65536)))",
            )
            .await;
        let expected = "(b'172.18.0.3:5353 one', ('172.18.0.3', 5353))
(b'172.18.0.4:5353 two', ('172.18.0.4', 5353))
(21, ('172.18.0.3', 5353))
(b'172.18.0.4:5353 four', ('172.18.0.4', 5353)) ('172.18.0.4', 5353) 172.18.0.2
b'172.18.0.4:5353 five'
(b'172.18.0.3:5353 six', ('::ffff:172.18.0.3', 5353, 0, 0))
40016";
        assert_eq!(said, expected);
    });
}

#[test]
fn receiving_waits_no_longer_than_the_program_wants() {
    with(async |container| {
        container.peers.echo_datagrams([172, 18, 0, 3], 5353).await;
        let said = container
            .python(
                "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b'', ('172.18.0.3', 5353)); print(s.recvfrom(99)[0])
def tried(*what):
    try: print(s.recvfrom(99, *what))
    except OSError as e: print(errno.errorcode[e.errno])
tried(socket.MSG_DONTWAIT)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack('ll', 0, 50000))
tried()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack('ll', 0, 0))
class Alarm(Exception): pass
def alarm(*_): raise Alarm
signal.signal(signal.SIGALRM, alarm); signal.setitimer(signal.ITIMER_REAL, 0.05)
try: s.recvfrom(99)
except Alarm: print('alarm')
signal.signal(signal.SIGALRM, lambda *_: s.sendto(b'late', ('172.18.0.3', 5353)))
signal.setitimer(signal.ITIMER_REAL, 0.05)
print(s.recvfrom(99)[0])
s.setblocking(False); tried()
s.sendto(b'ready', ('172.18.0.3', 5353)); select.select([s], [], []); print(s.recvfrom(99)[0])",
            )
            .await;
        let expected = "b'172.18.0.3:5353 '\nEAGAIN\nEAGAIN\nalarm\nb'172.18.0.3:5353 late'\nEAGAIN\n\
                        b'172.18.0.3:5353 ready'";
        assert_eq!(said, expected);
    });
}

#[test]
fn the_container_reaches_its_own_datagram_server_by_its_own_address() {
    with(async |container| {
        let said = container
            .python(
                "server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); server.bind(('172.18.0.2', 0))
print(server.getsockname()[0]); port = server.getsockname()[1]
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.sendto(b'ping', ('172.18.0.2', port))
data, who = server.recvfrom(99); server.sendto(data, who)
data, who = client.recvfrom(99); print(data, who[0], who[1] == port)
client.connect(('172.18.0.2', port)); client.send(b'again'); print(server.recv(99))",
            )
            .await;
        assert_eq!(said, "172.18.0.2\nb'ping' 172.18.0.2 True\nb'again'");
    });
}

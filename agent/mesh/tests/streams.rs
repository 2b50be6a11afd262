//! TCP connections of real programs to peers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use fixture::with;

#[test]
fn a_program_connects_to_a_peer_and_sees_its_address() {
    with(async |container| {
        container.peers.echo([172, 18, 0, 3], 8080).await;
        let said = container
            .python(
                "s = socket.create_connection(('172.18.0.3', 8080))
f = s.makefile('rw')
print(f.readline().strip())
f.write('hello\\n'); f.flush()
print(f.readline().strip())
print(*s.getpeername()); print(s.getsockname()[0])
s.shutdown(socket.SHUT_WR)
print(repr(f.read()))",
            )
            .await;
        assert_eq!(said, "172.18.0.3:8080\nhello\n172.18.0.3 8080\n172.18.0.2\n''");
    });
}

//! What the mesh costs: run it with `cargo run --release -p sockerless-mesh --example calls`. Needs python3.
//!
//! Prints medians of one thread, each beside the same without the filter: microseconds of calls, gigabytes a second of a connection.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/fixture/mod.rs"]
mod fixture;

use fixture::{python, with};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const TIMES: &str = "
def median(what, count=2000):
    times = []
    for _ in range(count):
        t = time.perf_counter(); what(); times.append(time.perf_counter() - t)
    return '%.1f us' % (sorted(times)[count // 2] * 1e6)
a, b = socket.socketpair()
def messages(): a.sendmsg([b'x']); b.recvmsg(9)
def plain(): a.send(b'x'); b.recv(9)
def connect():
    s = socket.socket(); s.connect((sys.argv[1], int(sys.argv[2]))); s.close()
print('  connect and close', median(connect, 500))
print('  send and recv (not caught)', median(plain)); print('  sendmsg and recvmsg of another socket', median(messages))
s = socket.create_connection((sys.argv[1], int(sys.argv[3])))
def echo(): s.sendall(b'x'); s.recv(9)
print('  one byte there and back', median(echo, 2000))
s = socket.create_connection((sys.argv[1], int(sys.argv[4]))); data = b'x' * (1 << 20); t = time.perf_counter()
for _ in range(1000): s.sendall(data)
s.shutdown(socket.SHUT_WR); s.recv(1); print('  throughput %.2f GB/s' % (1.048576 / (time.perf_counter() - t)))
";

async fn swallow(mut stream: tokio::net::TcpStream) {
    let mut buffer = vec![0; 256 << 10];
    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}

async fn echo(mut stream: tokio::net::TcpStream) {
    let _ = stream.set_nodelay(true);
    let (mut from, mut into) = stream.split();
    let _ = tokio::io::copy(&mut from, &mut into).await;
}

/// A server of its own thread, as a peer's would be.
fn server<T: Future<Output = ()> + 'static>(serve: fn(tokio::net::TcpStream) -> T) -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("bound");
    let port = listener.local_addr().expect("bound").port();
    listener.set_nonblocking(true).expect("set");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let listener = TcpListener::from_std(listener).expect("a server");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(serve(stream));
            }
        });
    });
    port
}

fn main() {
    with(async |container| {
        let close = |mut stream: tokio::net::TcpStream| async move {
            let _ = stream.shutdown().await;
        };
        let ports = [server(close), server(echo), server(swallow)];
        let peer = [172, 18, 0, 3];
        for port in ports {
            container.peers.stands_for(peer, port, ([127, 0, 0, 1], port).into());
        }
        let program = |to: &str| {
            let mut command = python(TIMES);
            command.arg(to).args(ports.map(|port| port.to_string()));
            command
        };
        let mut bare = program("127.0.0.1");
        let bare = fixture::ended(bare.stdout(std::process::Stdio::piped()).spawn().expect("started")).await;
        println!("without a filter\n{}", String::from_utf8_lossy(&bare.stdout));
        println!("under the filter, a peer\n  {}", container.says(program("172.18.0.3")).await);
        println!("under the filter, not a peer\n  {}", container.says(program("127.0.0.1")).await);
    });
}

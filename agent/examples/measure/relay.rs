//! What goes from one container to another.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use sockerless_mesh::{loopback::OWN_SEAT, shadow};
use sockerless_ports::link::{Catching, Link, Mesh, MeshNetwork, MeshView, Route, RunId, Rung};
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpListener};

use crate::world::World;

/// Everybody is on one network; the last two bytes of an address are the run's number. How all but the first, the server, are caught.
pub struct Flat(Option<Rung>);

fn address(run: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(172, 18, 0, 0)) + run)
}

#[async_trait]
impl Mesh for Flat {
    fn view(&self, run: &RunId) -> MeshView {
        let network = MeshNetwork {
            name: "flat".to_owned(),
            subnet: address(0),
            prefix: 16,
            gateway: address(65_000),
            address: address(run.generation),
            // The first that runs.
            names: [("server".to_owned(), vec![address(0)])].into(),
        };
        // The server's own listener is this process's: not in a namespace of its agent's.
        let rung = if run.generation == 0 { Some(Rung::Seccomp) } else { self.0 };
        MeshView { catch: true, networks: vec![network], rung, ..MeshView::default() }
    }

    fn route(&self, from: &RunId, to: Ipv4Addr) -> Route {
        let run = RunId { container: from.container.clone(), generation: u32::from(to) & 0xffff };
        Route::To { run, from: address(from.generation) }
    }

    async fn catching(&self, run: &RunId, catching: Catching) {
        if run.generation > 0 && self.0.is_some_and(|rung| rung != catching.rung) {
            println!("not as asked for: {catching:?}");
        }
    }
}

/// Two containers: one that listens (in this process), one that runs this program as a client.
pub async fn relay(world: &World, rung: Option<Rung>) {
    // Where only the server's container is reached: on all addresses it would be the client's own, too.
    let here = shadow(address(0));
    let listener = TcpListener::bind((here, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    if stream.write_all(&buffer[..count]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    let server = world.run("exec sleep 1000").await;
    let program = std::env::current_exe().unwrap();
    assert_eq!(server.id.generation, 0);
    let peer = match rung {
        Some(Rung::Loopback) => Ipv4Addr::from(u32::from(OWN_SEAT) + 1),
        _ => address(0),
    };
    for (name, to) in [("nothing between", here), ("the mesh", peer)] {
        if rung == Some(Rung::Tun) && to == here {
            // In a namespace of its own there is no way around the mesh.
            continue;
        }
        for connections in [1, 50] {
            let script =
                format!("exec {} --client {to}:{port} {connections} '{name}' >&2", program.display());
            let run = world.run(&script).await;
            run.counter.exited.notified().await;
            println!("{}", String::from_utf8_lossy(&run.counter.errors.lock().unwrap()).trim_end());
            world.dismiss(run).await;
        }
    }
    world.dismiss(server).await;
}

/// What the client does.
pub fn client(to: &str, connections: usize, name: &str) {
    let streams: Vec<TcpStream> = (0..connections)
        .map(|_| {
            // On the rung `loopback` it listens a moment after the start.
            let stream = (0..500).find_map(|_| {
                let connected = TcpStream::connect(to).ok();
                if connected.is_none() {
                    thread::sleep(Duration::from_millis(10));
                }
                connected
            });
            let stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            stream
        })
        .collect();
    let (begin, until) = (Instant::now(), Duration::from_secs(3));
    let threads: Vec<_> = streams
        .into_iter()
        .map(|mut stream| {
            thread::spawn(move || {
                let (mut took, mut answer) = (Vec::new(), [0; 40]);
                while begin.elapsed() < until {
                    let asked = Instant::now();
                    stream.write_all(&[b'x'; 40]).unwrap();
                    stream.read_exact(&mut answer).unwrap();
                    took.push(asked.elapsed());
                }
                took
            })
        })
        .collect();
    let mut took: Vec<Duration> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    took.sort();
    let rate = took.len() as f64 / begin.elapsed().as_secs_f64();
    let part = |percent: usize| took[took.len() * percent / 100];
    eprintln!("{name}, {connections} connections: {rate:.0}/s, {:?} p50, {:?} p99", part(50), part(99));
    if connections == 1 {
        bulk(to, name);
    }
}

fn bulk(to: &str, name: &str) {
    const BYTES: usize = 256 << 20;
    let mut stream = TcpStream::connect(to).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let begin = Instant::now();
    let writing = thread::spawn(move || {
        let piece = vec![1; 64 << 10];
        (0..BYTES / piece.len()).for_each(|_| writer.write_all(&piece).unwrap());
    });
    let (mut count, mut buffer) = (0, vec![0; 64 << 10]);
    while count < BYTES {
        count += stream.read(&mut buffer).unwrap();
    }
    writing.join().unwrap();
    let rate = BYTES as f64 / begin.elapsed().as_secs_f64() / 1e6;
    eprintln!("{name}, there and back: {rate:.0} MB/s each way");
}

/// Lets the link know of it.
pub fn join(world: &World, rung: Option<Rung>) {
    world.link.join(Arc::new(Flat(rung)));
}

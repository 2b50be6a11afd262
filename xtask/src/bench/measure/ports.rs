//! A published port, from a client beside the daemon: through dockerd's userland proxy there.

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{FEW, create_with, median, megabytes, milliseconds, part, remove, start};
use crate::{
    Result,
    bench::{http::Connection, subject::Subject},
};

/// Where the container listens.
const PORT: &str = "7000";
/// How long it may take to do so.
const LISTENING: Duration = Duration::from_secs(10);
/// Bytes each way.
const SIZE: u64 = 1_000_000_000;
/// Bytes of a request, and of its answer.
const REQUEST: usize = 64;
/// Requests on one connection.
const ROUNDS: usize = 5_000;

/// A server in a container.
struct Server<'a> {
    subject: &'a dyn Subject,
    container: String,
    port: u16,
}

impl<'a> Server<'a> {
    fn start(subject: &'a dyn Subject) -> Result<Self> {
        let mut connection = Connection::open(subject.socket())?;
        let name = format!("{PORT}/tcp");
        let request = json!({
            "ExposedPorts": {&name: {}},
            "HostConfig": {"PortBindings": {&name: [{"HostIp": "127.0.0.1", "HostPort": ""}]}},
        });
        let container = create_with(&mut connection, &["traffic", "serve", PORT], request)?;
        start(&mut connection, &container)?;
        let (_, body) = connection.request("GET", &format!("/v1.41/containers/{container}/json"), b"")?;
        let body: serde_json::Value = serde_json::from_slice(&body)?;
        let port =
            body["NetworkSettings"]["Ports"][&name][0]["HostPort"].as_str().ok_or("no published port")?;
        let server = Self { subject, port: port.parse()?, container };
        server.wait()?;
        Ok(server)
    }

    /// Connections are accepted before the server listens; they end at once.
    fn wait(&self) -> Result {
        let since = Instant::now();
        loop {
            match sockerless_traffic::round_trips(&self.connect()?, REQUEST, 1) {
                Ok(_) => return Ok(()),
                Err(error) if since.elapsed() > LISTENING => return Err(error.into()),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    fn connect(&self) -> Result<TcpStream> {
        self.subject.connect(self.port)
    }

    fn remove(self) -> Result {
        remove(self.subject, &self.container)
    }
}

/// Many bytes over one connection, out of the container and into it.
pub fn throughput(subject: &mut dyn Subject) -> Result<Vec<f64>> {
    let server = Server::start(subject)?;
    let (mut out, mut into) = (Vec::new(), Vec::new());
    for _ in 0..FEW {
        out.push(sockerless_traffic::download(&server.connect()?, SIZE)?);
        into.push(sockerless_traffic::upload(&server.connect()?, SIZE)?);
    }
    server.remove()?;
    Ok(vec![megabytes(SIZE, median(out)), megabytes(SIZE, median(into))])
}

/// One small request after the other over one connection.
pub fn latency(subject: &mut dyn Subject) -> Result<Vec<f64>> {
    let server = Server::start(subject)?;
    let times = sockerless_traffic::round_trips(&server.connect()?, REQUEST, ROUNDS)?;
    server.remove()?;
    Ok(vec![milliseconds(part(times.clone(), 0.5)), milliseconds(part(times, 0.99))])
}

//! From one container to another: redis-benchmark and redis, through the mesh here and over a bridge there.

use std::path::Path;

use serde_json::Value;
use sockerless_tests::programs;

use super::FEW;
use crate::{
    Result,
    bench::subject::{Subject, docker},
    command,
};

/// Connections at once, and requests over all of them.
const LOADS: [(&str, &str); 2] = [("50", "100000"), ("1", "10000")];
/// The server's container, and what it shares with its clients.
const SERVER: &str = "redis-server";
const NETWORK: &str = "mesh";

/// For each load: requests a second, and how long half and 99 of 100 take, in ms. The run in the middle counts.
pub fn redis(subject: &mut dyn Subject) -> Result<Vec<f64>> {
    let socket = subject.socket();
    let archive = programs::archive();
    command::read(docker(socket).args(["load", "--quiet", "--input"]).arg(archive))?;
    run(socket, &["network", "create", NETWORK])?;
    run(socket, &["run", "--detach", "--name", SERVER, "--network", NETWORK, "redis"])?;
    // By its address: dockerd's names need iptables.
    let shown: Value = serde_json::from_str(&run(socket, &["inspect", SERVER])?)?;
    let address =
        shown[0]["NetworkSettings"]["Networks"][NETWORK]["IPAddress"].as_str().ok_or("no address")?;
    let wait = format!("until redis-cli -h {address} ping; do sleep 0.1; done");
    client(socket, &["timeout", "60", "sh", "-c", &wait])?;
    let mut values = Vec::new();
    for (connections, requests) in LOADS {
        let command =
            ["redis-benchmark", "-h", address, "-t", "get", "--csv", "-c", connections, "-n", requests];
        let mut runs =
            (0..FEW).map(|_| figures(&client(socket, &command)?)).collect::<Result<Vec<[f64; 3]>>>()?;
        runs.sort_by(|one, other| one[0].total_cmp(&other[0]));
        values.extend(runs[FEW / 2]);
    }
    run(socket, &["rm", "--force", "--volumes", SERVER])?;
    run(socket, &["network", "rm", NETWORK])?;
    Ok(values)
}

/// `docker ARGS`: its output.
fn run(socket: &Path, arguments: &[&str]) -> Result<String> {
    command::read(docker(socket).args(arguments))
}

/// The output of a command in a container beside the server.
fn client(socket: &Path, command: &[&str]) -> Result<String> {
    run(socket, &[&["run", "--rm", "--network", NETWORK, "client"], command].concat())
}

/// Requests a second, p50 and p99 of what redis-benchmark writes: a line of names, and one of values.
fn figures(csv: &str) -> Result<[f64; 3]> {
    let mut lines = csv.lines().filter(|line| line.starts_with('"')).map(|line| line.split(','));
    let (names, values) = (lines.next().ok_or("no names")?, lines.next().ok_or("no values")?);
    let all: Vec<(&str, &str)> =
        names.zip(values).map(|(name, value)| (name.trim_matches('"'), value.trim_matches('"'))).collect();
    let mut found = [0.0; 3];
    for (to, wanted) in found.iter_mut().zip(["rps", "p50_latency_ms", "p99_latency_ms"]) {
        let (_, value) = all.iter().find(|(name, _)| *name == wanted).ok_or(wanted)?;
        *to = value.parse()?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_by_their_names() {
        let csv = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\"p95_latency_ms\",\
                   \"p99_latency_ms\",\"max_latency_ms\"\n\"GET\",\"15026.30\",\"2.9\",\"0.1\",\"2.359\",\"5.1\",\"7.5\",\"9.0\"\n";
        assert_eq!(figures(csv).ok(), Some([15026.30, 2.359, 7.5]));
        assert!(figures("").is_err());
    }
}

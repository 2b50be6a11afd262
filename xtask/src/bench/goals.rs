//! What is measured, and what we promise.

use super::{
    measure::{agents, binds, daemon, exec, files, mesh, output, ports, volumes},
    subject::Subject,
};
use crate::Result;

/// What is taken in one go.
pub struct Measurement {
    /// What it gives.
    pub figures: &'static [Figure],
    /// Whether dockerd has it too.
    pub with_peer: bool,
    /// Takes it; gives a value for each figure.
    pub take: fn(&mut dyn Subject) -> Result<Vec<f64>>,
}

/// A row of the table.
pub struct Figure {
    /// What it is.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Which way is better.
    pub more_is_better: bool,
    /// The promise; none for what is only told.
    pub goal: Option<Goal>,
    /// Why it misses its goal, if it is known to: stands in the table of a run in which it does.
    pub why: Option<&'static str>,
}

/// What we promise.
#[derive(Clone, Copy)]
pub enum Goal {
    /// So many times better than dockerd.
    Times(f64),
    /// At most so much of what dockerd takes.
    PartOf(f64),
    /// At most so much, in the unit.
    AtMost(f64),
    /// At most so much more than what dockerd takes, in the unit.
    Added(f64),
}

impl Figure {
    const fn more(name: &'static str, unit: &'static str) -> Self {
        Self { name, unit, more_is_better: true, goal: None, why: None }
    }

    const fn less(name: &'static str, unit: &'static str) -> Self {
        Self { name, unit, more_is_better: false, goal: None, why: None }
    }

    const fn goal(self, goal: Goal) -> Self {
        Self { goal: Some(goal), ..self }
    }

    const fn why(self, why: &'static str) -> Self {
        Self { why: Some(why), ..self }
    }
}

impl Measurement {
    const fn both(figures: &'static [Figure], take: fn(&mut dyn Subject) -> Result<Vec<f64>>) -> Self {
        Self { figures, with_peer: true, take }
    }

    const fn ours(figures: &'static [Figure], take: fn(&mut dyn Subject) -> Result<Vec<f64>>) -> Self {
        Self { figures, with_peer: false, take }
    }
}

/// By a profile of the daemon that is asked by as many clients as it can serve.
const KERNEL: &str =
    "two thirds of the time for an answer are the kernel's, which wakes, reads and writes for both alike";
/// The bytes of exec, cp and ports.
const FAR: &str = "each byte crosses a TCP connection and a WebSocket, framed and masked, to an agent that may be far away; \
     dockerd reaches into the container on its own machine";
/// dockerd's attach is slow for its log alone.
const NO_LOG: &str = "dockerd keeps no log of an exec, as it does of what attach shows: it copies from a pipe to a socket; here each byte \
     crosses a TCP connection and a WebSocket between, framed and masked";

/// In the order of the table.
pub const MEASUREMENTS: &[Measurement] = &[
    Measurement::both(&[Figure::less("ready after start", "ms").goal(Goal::AtMost(100.0))], daemon::ready),
    Measurement::both(
        &[Figure::less("idle memory (RSS)", "MiB").goal(Goal::Times(1.0))],
        daemon::idle_memory,
    ),
    Measurement::both(
        &[Figure::more("_ping, 16 clients", "requests/s").goal(Goal::Times(2.0)).why(KERNEL)],
        daemon::ping,
    ),
    Measurement::both(&[Figure::less("create", "ms").goal(Goal::Times(5.0))], daemon::create),
    Measurement::both(
        &[Figure::less("list of 1,000 containers", "ms").goal(Goal::Times(20.0))],
        daemon::list,
    ),
    Measurement::both(
        &[Figure::more("inspect, 1 client", "requests/s").goal(Goal::Times(1.0))],
        daemon::inspect,
    ),
    Measurement::both(
        &[Figure::less("docker run --rm busybox true", "ms").goal(Goal::Times(1.0))],
        daemon::run,
    ),
    Measurement::both(&[Figure::more("logs of 100 MB", "MB/s").goal(Goal::Times(10.0))], output::logs),
    Measurement::both(&[Figure::more("attach, 420 MB", "MB/s").goal(Goal::Times(5.0))], output::attach),
    Measurement::both(&[Figure::less("docker exec true", "ms").goal(Goal::PartOf(0.6))], exec::nothing),
    Measurement::both(
        &[Figure::more("exec, 420 MB out", "MB/s").goal(Goal::Times(5.0)).why(NO_LOG)],
        exec::output,
    ),
    Measurement::both(&[Figure::more("cp of 1 GB out", "MB/s").goal(Goal::Times(1.0)).why(FAR)], files::out),
    Measurement::both(&[Figure::more("cp of 1 GB in", "MB/s").goal(Goal::Times(1.0)).why(FAR)], files::into),
    Measurement::both(
        &[
            Figure::more("published port, 1 GB out", "MB/s").goal(Goal::Times(0.5)).why(FAR),
            Figure::more("published port, 1 GB in", "MB/s").goal(Goal::Times(0.5)).why(FAR),
        ],
        ports::throughput,
    ),
    Measurement::both(
        &[
            Figure::less("published port, 64 bytes and back: p50", "ms"),
            Figure::less("published port, 64 bytes and back: p99", "ms"),
        ],
        ports::latency,
    ),
    Measurement::both(
        &[
            Figure::more("mesh, redis GET over 50 connections", "requests/s").goal(Goal::Times(0.3)),
            Figure::less("mesh, redis GET over 50 connections: p50", "ms"),
            Figure::less("mesh, redis GET over 50 connections: p99", "ms"),
            Figure::more("mesh, redis GET over 1 connection", "requests/s"),
            Figure::less("mesh, redis GET over 1 connection: p50", "ms").goal(Goal::Added(0.5)),
            Figure::less("mesh, redis GET over 1 connection: p99", "ms"),
        ],
        mesh::redis,
    ),
    Measurement::ours(
        &[
            Figure::less("synced volume, git clone of 20,000 files", "× the container's own disk")
                .goal(Goal::AtMost(1.5)),
            Figure::less("synced volume, 20,000 files and the repository: back", "s"),
            Figure::less("synced volume, 20,000 files and the repository: in", "s"),
        ],
        volumes::synced,
    ),
    Measurement::ours(
        &[
            Figure::less("bind mount, 20,000 files: in", "s"),
            Figure::less("bind mount, 20,000 files written anew: back", "s"),
        ],
        binds::both_ways,
    ),
    Measurement::ours(
        &[
            Figure::less("500 idle containers: memory of the daemon (RSS)", "MiB"),
            Figure::less("500 idle containers: its growth for each", "KiB").goal(Goal::AtMost(64.0)),
            Figure::less("500 idle containers: CPU of the daemon", "% of a core"),
        ],
        agents::many,
    ),
    Measurement::ours(
        &[
            Figure::less("agent, idle: memory (RSS)", "MiB").goal(Goal::AtMost(10.0)),
            Figure::less("agent: size of the program", "MiB"),
        ],
        agents::one,
    ),
];

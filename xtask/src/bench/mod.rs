//! The daemon beside a real dockerd, in the same run on the same machine.

mod http;
mod load;
mod measure;
mod peer;
mod subject;
mod table;

use std::fs;

use clap::Args;

use crate::{Result, build, command, machine};
use subject::Subject;
use table::{Row, Table};

/// `x bench`
#[derive(Args)]
pub struct BenchArgs {
    /// Only the measurements whose name contains this; the document is left as it is.
    #[arg(long)]
    only: Option<String>,
}

/// A measurement: its name, unit, which way is better, the promise, and how it is taken.
struct Measurement {
    name: &'static str,
    unit: &'static str,
    more_is_better: bool,
    goal: Goal,
    /// Why it misses its goal, if it is known to: stands in the table of a run in which it does.
    why: Option<&'static str>,
    take: fn(&mut dyn Subject) -> Result<f64>,
}

/// What we promise.
enum Goal {
    /// So many times better than dockerd.
    Times(f64),
    /// At most so much, in the unit.
    AtMost(f64),
}

const MEASUREMENTS: &[Measurement] = &[
    Measurement {
        name: "ready after start",
        unit: "ms",
        more_is_better: false,
        goal: Goal::AtMost(100.0),
        why: None,
        take: measure::ready,
    },
    Measurement {
        name: "idle memory (RSS)",
        unit: "MiB",
        more_is_better: false,
        goal: Goal::Times(1.0),
        why: None,
        take: measure::idle_memory,
    },
    Measurement {
        name: "_ping, 16 clients",
        unit: "requests/s",
        more_is_better: true,
        goal: Goal::Times(2.0),
        why: None,
        take: measure::ping,
    },
    Measurement {
        name: "create",
        unit: "ms",
        more_is_better: false,
        goal: Goal::Times(5.0),
        why: None,
        take: measure::create,
    },
    Measurement {
        name: "list of 1,000 containers",
        unit: "ms",
        more_is_better: false,
        goal: Goal::Times(20.0),
        why: None,
        take: measure::list,
    },
    Measurement {
        name: "inspect, 1 client",
        unit: "requests/s",
        more_is_better: true,
        goal: Goal::Times(1.0),
        why: None,
        take: measure::inspect,
    },
    Measurement {
        name: "docker run --rm busybox true",
        unit: "ms",
        more_is_better: false,
        goal: Goal::Times(1.0),
        why: None,
        take: measure::run,
    },
    Measurement {
        name: "logs of 100 MB",
        unit: "MB/s",
        more_is_better: true,
        goal: Goal::Times(10.0),
        why: None,
        take: measure::logs,
    },
    Measurement {
        name: "attach, 420 MB",
        unit: "MB/s",
        more_is_better: true,
        goal: Goal::Times(5.0),
        why: None,
        take: measure::attach,
    },
];

/// Measures and writes the table.
pub fn run(args: &BenchArgs) -> Result {
    machine::prepare_build()?;
    machine::prepare_tests()?;
    if !machine::is_root() {
        return Err(
            "the benchmark needs root: a dockerd runs beside the daemon, in namespaces of its own".into()
        );
    }
    let dist = build::all(true)?;
    let mut ours = subject::Sockerless::new(&dist)?;
    let mut peer = peer::Dockerd::new()?;
    let mut table = Table::new(peer.version()?);
    for measurement in
        MEASUREMENTS.iter().filter(|m| args.only.as_deref().is_none_or(|only| m.name.contains(only)))
    {
        eprintln!("measuring: {}", measurement.name);
        // One after the other, each alone on the machine.
        let of_ours = alone(&mut ours, measurement)?;
        let of_peer = alone(&mut peer, measurement)?;
        table.add(Row::new(measurement, of_ours, of_peer));
    }
    let text = table.to_markdown();
    println!("{text}");
    if args.only.is_none() {
        let path = command::root().join("docs/benchmarks.md");
        fs::write(&path, text)?;
        println!("written to {}", path.display());
    }
    Ok(())
}

fn alone(subject: &mut dyn Subject, measurement: &Measurement) -> Result<f64> {
    subject.start()?;
    let value = (measurement.take)(subject);
    subject.stop()?;
    value.map_err(|error| format!("{} of {}: {error}", measurement.name, subject.name()).into())
}

//! The daemon beside a real dockerd, in the same run on the same machine.

mod goals;
mod http;
mod image;
mod load;
mod measure;
mod peer;
mod subject;
mod table;

use std::{fs, path::PathBuf};

use clap::Args;

use crate::{Result, build, command, machine};
use goals::{MEASUREMENTS, Measurement};
use image::Image;
use subject::Subject;
use table::Table;

/// `x bench`
#[derive(Args)]
pub struct BenchArgs {
    /// Only what has a figure whose name contains this; the document is left as it is.
    #[arg(long)]
    only: Option<String>,
    /// Measure what was built into this folder before (`x build --release`: target/dist/release).
    #[arg(long, value_name = "DIR")]
    dist: Option<PathBuf>,
}

/// Measures and writes the table.
pub fn run(args: &BenchArgs) -> Result {
    machine::prepare_build()?;
    machine::prepare_tests()?;
    if !machine::is_root() {
        return Err(
            "the benchmark needs root: a dockerd runs beside the daemon, in namespaces of its own".into()
        );
    }
    let dist = match &args.dist {
        // The daemon finds its other parts beside itself, and is started in another folder.
        Some(dist) => dist.canonicalize().map_err(|error| format!("{}: {error}", dist.display()))?,
        None => build::all(true)?,
    };
    let image = Image::new()?;
    let mut ours = subject::Sockerless::new(&dist, &image)?;
    let mut peer = peer::Dockerd::new(&image)?;
    let mut table = Table::new(peer.version()?);
    let wanted = |measurement: &&Measurement| {
        let only = args.only.as_deref().unwrap_or_default();
        measurement.figures.iter().any(|figure| figure.name.contains(only))
    };
    let mut failures = Vec::new();
    for measurement in MEASUREMENTS.iter().filter(wanted) {
        for figure in measurement.figures {
            eprintln!("measuring: {}", figure.name);
        }
        match both(&mut ours, &mut peer, measurement) {
            Ok((of_ours, of_peer)) => {
                for row in table.add(measurement.figures, &of_ours, of_peer.as_deref()) {
                    eprint!("{row}");
                }
            }
            // The others took minutes: they are told all the same.
            Err(error) => {
                eprintln!("failed: {error}");
                failures.push(error.to_string());
            }
        }
    }
    let text = table.to_markdown();
    println!("{text}");
    if !failures.is_empty() {
        return Err(format!("not measured:\n{}", failures.join("\n")).into());
    }
    if args.only.is_none() {
        let path = command::root().join("docs/benchmarks.md");
        fs::write(&path, text)?;
        println!("written to {}", path.display());
    }
    Ok(())
}

/// One after the other, each alone on the machine.
fn both(
    ours: &mut dyn Subject,
    peer: &mut dyn Subject,
    measurement: &Measurement,
) -> Result<(Vec<f64>, Option<Vec<f64>>)> {
    let of_ours = alone(ours, measurement)?;
    let of_peer = if measurement.with_peer { Some(alone(peer, measurement)?) } else { None };
    Ok((of_ours, of_peer))
}

fn alone(subject: &mut dyn Subject, measurement: &Measurement) -> Result<Vec<f64>> {
    subject.start()?;
    let values = (measurement.take)(subject);
    subject.stop()?;
    let what = measurement.figures.first().map_or("nothing", |figure| figure.name);
    values.map_err(|error| format!("{what}, {}: {error}", subject.name()).into())
}

//! Set-up, demo, test and bench in one command each: `cargo xtask --help`, or `./x --help` on a
//! machine that has no Rust yet.

mod bench;
mod build;
mod command;
mod image;
mod machine;
mod schemas;
mod test;
mod up;
mod vendors;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// What a task gives: nothing, or the words that the user reads.
pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Builds, starts, tests and measures Sockerless.
#[derive(Parser)]
#[command(name = "x", arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build everything, start the daemon with the embedded simulator and run a first container.
    Up(up::UpArgs),
    /// End the daemon and the simulator of a state folder.
    Down(up::DownArgs),
    /// Build the daemon, the simulators, the agent and the plugins into target/dist.
    Build {
        /// Optimised, as for users; otherwise as for tests.
        #[arg(long)]
        release: bool,
    },
    /// Formatting, lints and all tests: what CI runs.
    Test {
        /// Only tests whose name contains this; formatting and lints are left out.
        filter: Option<String>,
        /// The end-to-end tests alone, all of them, on this backend: cloudrun or aca.
        #[arg(long, value_name = "NAME")]
        backend: Option<String>,
    },
    /// Measure the daemon beside a real dockerd and write the table to docs/benchmarks.md.
    Bench(bench::BenchArgs),
    /// Write a busybox image as an archive for `docker load`.
    Image {
        /// The folder to write it to.
        #[arg(default_value = "target/images")]
        folder: PathBuf,
        /// Its name.
        #[arg(long, default_value = "busybox:latest")]
        name: String,
    },
    /// Make the simulators' field tables, from Google's discovery documents and the models of Azure's SDKs.
    Schemas {
        /// Those of one cloud alone.
        #[arg(value_enum)]
        cloud: Option<schemas::Cloud>,
        /// The folder with Google's documents [default: those of a PyPI package that carries them].
        #[arg(long, value_name = "DIR")]
        discovery: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Up(args) => up::up(args),
        Task::Down(args) => up::down(&args),
        Task::Build { release } => machine::prepare_build().and_then(|()| build::all(release)).map(drop),
        Task::Test { filter, backend } => test::run(filter.as_deref(), backend.as_deref()),
        Task::Bench(args) => bench::run(&args),
        Task::Image { folder, name } => image::write(&folder, &name),
        Task::Schemas { cloud, discovery } => schemas::all(cloud, discovery.as_deref(), &command::root()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("x: {error}");
            ExitCode::FAILURE
        }
    }
}

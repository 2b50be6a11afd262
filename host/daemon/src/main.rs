//! The daemon: command line, configuration, wiring and listeners.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod api;
mod backends;
mod callback;
mod cli;
mod config;
mod doctor;
mod images;
mod plugin;
mod serve;
mod simulator;
mod sync;
mod tuning;

use std::{collections::BTreeMap, io, process::ExitCode};

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use cli::{Cli, Command, SimulatorCommand};
use config::Config;

/// What a subcommand gives: nothing, or the words that the user reads.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let is_terminal = io::IsTerminal::is_terminal(&io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(is_terminal).init();
    // The whole program has one TLS provider; without it the first HTTPS request would panic.
    sockerless_credentials::install_tls_provider();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("sockerless: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli.command)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("sockerless: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::run(&Config::serve(args)?).await?,
        Command::Doctor(args) => return doctor::run(args).await,
        Command::Sync(args) => sync::run(args).await?,
        Command::Plugin(command) => return plugin::run(command).await,
        Command::Simulator(command) => simulate(command).await?,
        Command::Version => plugin::version(),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "sockerless", &mut io::stdout());
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn simulate(command: SimulatorCommand) -> Result {
    match command {
        SimulatorCommand::Start(args) => {
            let config = Config::common(args)?;
            println!("the simulator runs (process {})", backends::start_simulator(&config).await?.pid);
        }
        SimulatorCommand::Stop(args) => {
            let stopped = simulator::stop_all(&Config::common(args)?, &BTreeMap::new()).await?;
            println!("{}", if stopped { "simulator ended" } else { "no simulator runs" });
        }
        SimulatorCommand::Status(args) => {
            let simulators = simulator::all(&Config::common(args)?)?;
            if simulators.is_empty() {
                return Err("no simulator runs on this state".into());
            }
            println!("{}", serde_json::to_string_pretty(&simulators)?);
        }
    }
    Ok(())
}

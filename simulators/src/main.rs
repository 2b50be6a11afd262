//! `sockerless-simulators`: clouds on this machine.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod azure;
mod google;
mod process;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Clouds on this machine: the real APIs on loopback, held to their official schemas, and containers that really run.
///
/// A simulator is a process of its own with its own state, as a cloud is: it outlives whoever started it. It is made for
/// tests and for work without an account; it is no security boundary.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    cloud: Cloud,
}

#[derive(Debug, Subcommand)]
enum Cloud {
    Azure(Box<azure::Arguments>),
    Google(Box<google::Arguments>),
}

fn main() -> ExitCode {
    sockerless_executor::init();
    match Arguments::parse().cloud {
        Cloud::Azure(arguments) => azure::main(*arguments),
        Cloud::Google(arguments) => google::main(*arguments),
    }
}

//! The executor's own program, started again for what needs a process of its own:
//!
//! - `holder` (ordinary user only) keeps the user namespace that all others enter,
//! - `keeper` makes a task's namespaces and limits, outlives its command and reports its end,
//! - `init` builds the root file system and becomes the command,
//! - `unpack` turns a layer's tar into a folder, `remove` deletes such folders,
//! - `probe` asks a server in a pod's network whether it is there, `dial` carries a connection to one.

pub(crate) mod dial;
mod holder;
mod init;
mod keeper;
mod launch;
mod mounting;
mod probe;
pub(crate) mod protocol;
mod remove;
mod rootfs;
mod system;
mod unpack;
mod user;

use std::{ffi::OsStr, process::Command};

pub(crate) use launch::{explain_refusal, stage_command};

/// First argument of a stage; the second is its name, the third the executor that it belongs to.
pub(crate) const MARKER: &str = "sockerless-executor-stage";

/// Does the work of the stage that the arguments name; returns if they name none.
pub(crate) fn enter() {
    let mut args = std::env::args_os().skip(1);
    if args.next().as_deref() != Some(OsStr::new(MARKER)) {
        return;
    }
    let name = args.next().unwrap_or_default();
    let _scope = args.next();
    let result = match name.to_str() {
        Some("holder") => holder::run(),
        Some("keeper") => keeper::run(),
        Some("init") => init::run(),
        Some("unpack") => unpack::run(args),
        Some("remove") => remove::run(args),
        Some("probe") => probe::run(args),
        Some("dial") => dial::run(args),
        _ => Err(std::io::Error::other("no such stage")),
    };
    let code = match result {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{error}");
            1
        }
    };
    std::process::exit(code);
}

/// A stage that is started by another one.
pub(crate) fn nested(program: &std::path::Path, name: &str) -> Command {
    let mut command = Command::new(program);
    // A scope of its own is not needed: it dies with the stage that started it.
    command.arg(MARKER).arg(name).arg("-").env_clear();
    command
}

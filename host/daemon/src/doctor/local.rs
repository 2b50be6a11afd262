//! What this machine has to offer.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use sockerless_ports::backend::Check;

use super::report::{fail, pass, skip, warn};
use crate::{
    api::Api,
    callback::{self, Callback},
    config::Config,
    simulator::Simulator,
};

/// Where the settings come from.
pub fn configuration(config: &Config) -> Check {
    match &config.source {
        Some(path) => pass("configuration", &format!("read from {}", path.display())),
        None => pass("configuration", "no file; defaults and environment"),
    }
}

/// Whether the daemon can keep anything.
pub fn state(config: &Config) -> Check {
    let probe = config.state.join(".doctor");
    let written = fs::create_dir_all(&config.state)
        .and_then(|()| fs::write(&probe, "written by sockerless doctor"))
        .and_then(|()| fs::remove_file(&probe));
    match written {
        Ok(()) => pass("state", &format!("{} can be written", config.state.display())),
        Err(error) => fail(
            "state",
            &format!("{}: {error}", config.state.display()),
            "give the daemon's user that folder, or name another one by `state` (SOCKERLESS_STATE)",
        ),
    }
}

/// The binary that is mounted into containers.
pub fn agent(config: &Config) -> Check {
    let path = config.installed(config.file.agent.as_deref(), "sockerless-agent");
    let remedy = "install it beside the daemon, or name it by `agent` in the configuration";
    match look(&path) {
        Ok((size, executable)) => {
            // Its mode here does not matter: storage has modes of its own.
            let mode = if executable { "" } else { ", not executable here, which does not matter" };
            pass("agent", &format!("{} ({} KiB{mode})", path.display(), size / 1024))
        }
        Err(error) => fail("agent", &format!("{}: {error}", path.display()), remedy),
    }
}

fn look(path: &Path) -> io::Result<(usize, bool)> {
    let executable = fs::metadata(path)?.permissions().mode() & 0o111 != 0;
    let bytes = fs::read(path)?;
    // An ELF file for 64 bits.
    if !bytes.starts_with(b"\x7fELF\x02") {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no program for Linux"));
    }
    Ok((bytes.len(), executable))
}

/// Whether a daemon runs with this configuration.
pub fn daemon(config: &Config, api: Option<&Api>) -> Check {
    match api {
        Some(_) => pass("daemon", &format!("answers at {}", config.socket.display())),
        None => skip("daemon", &format!("none answers at {}", config.socket.display())),
    }
}

/// The address that containers dial. A daemon that runs listens there itself. Errors: the check that failed.
pub async fn callback(
    config: &Config,
    simulator: Option<&Simulator>,
    daemon: bool,
) -> Result<(Option<Callback>, Check), Check> {
    const NAME: &str = "callback address";
    let none = || {
        warn(
            NAME,
            "none: containers run without an agent, so without exec, stdin, cp and published ports",
            "set callback_url (SOCKERLESS_CALLBACK_URL) to an address that the cloud can reach",
        )
    };
    if daemon {
        let off = config.callback_url.as_deref() == Some(callback::NONE)
            || (config.callback_url.is_none() && simulator.is_none());
        return Ok((None, if off { none() } else { pass(NAME, "the daemon listens") }));
    }
    match callback::open(config, simulator).await {
        Ok(None) => Ok((None, none())),
        Ok(Some(callback)) => {
            let check = pass(NAME, &callback.url);
            Ok((Some(callback), check))
        }
        Err(error) => Err(fail(
            NAME,
            &error.to_string(),
            "correct the setting that it names; if another program has the port, end it or set callback_listen",
        )),
    }
}

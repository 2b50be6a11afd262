//! The network of an ordinary user's task, by slirp4netns. Its addresses are fixed.

use std::{net::Ipv4Addr, process::Stdio};

use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
};

use super::attach::LINK;
use crate::{error::ExecutorError, tuning::SLIRP_MTU};

/// Leads to this machine's 127.0.0.1.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// Forwards to this machine's name server.
pub(crate) const DNS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
/// Each task's own.
pub(crate) const TASK: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);

const TUN: &str = "/dev/net/tun";

pub(crate) async fn check() -> Result<(), ExecutorError> {
    let tun = std::fs::OpenOptions::new().read(true).write(true).open(TUN);
    if let Err(error) = tun {
        return Err(ExecutorError::Unsupported(format!(
            "{TUN}: {error}: an ordinary user's containers need it for their network; `sudo modprobe tun && sudo \
             chmod 666 {TUN}` opens it, as udev does by default, or run as root"
        )));
    }
    let status = Command::new("slirp4netns")
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await;
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => Err(ExecutorError::Unsupported(
            "slirp4netns is missing: an ordinary user's containers need it for their network; \
             `sudo apt-get install slirp4netns` installs it, or run as root"
                .into(),
        )),
    }
}

/// Enters the namespaces of the process and connects them. It ends with this process: its
/// standard input is the line that tells it so.
pub(crate) async fn connect(keeper: u32) -> Result<Child, ExecutorError> {
    let failed = |error| ExecutorError::system("slirp4netns", error);
    let mut child = Command::new("slirp4netns")
        .args(["--configure", SLIRP_MTU, "--ready-fd=1", "--exit-fd=0"])
        .arg(keeper.to_string())
        .arg(LINK)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let mut ready = [0];
    let told = match child.stdout.take() {
        Some(mut stdout) => stdout.read(&mut ready).await.map_err(failed)?,
        None => 0,
    };
    if told == 1 {
        // Otherwise a chatty log would fill the pipe and stop it.
        if let Some(mut stderr) = child.stderr.take() {
            tokio::spawn(async move { tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await });
        }
        return Ok(child);
    }
    let mut message = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut message).await.map_err(failed)?;
    }
    Err(failed(std::io::Error::other(message.trim().replace('\n', "; "))))
}

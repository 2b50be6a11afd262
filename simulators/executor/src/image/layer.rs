//! A layer: from a blob to a folder of an overlay file system.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::{Child, Command};

use super::ImageError;
use crate::{spec::FailureReason, stage::stage_command, tuning::LAYER_NAME_DIGITS};

/// Starts the stages that work on layers' folders, and others that end by themselves.
#[derive(Debug)]
pub(crate) struct Unpack {
    pub program: PathBuf,
    pub scope: String,
    /// None as root.
    pub user_namespace: Option<PathBuf>,
}

impl Unpack {
    /// Unpacks the blob and puts the folder in its place; on an error nothing is there. Nobody
    /// else may work on the same layer meanwhile.
    pub(crate) async fn unpack(&self, blob: &Path, layers: &Path, name: &str) -> Result<(), ImageError> {
        let internal = |error: io::Error| ImageError::internal("unpacking", error);
        let partial = layers.join(format!("partial-{name}"));
        if partial.exists() {
            // A pull that was cancelled in the middle.
            self.remove(&[&partial]).await;
        }
        tokio::fs::create_dir_all(&partial).await.map_err(internal)?;
        let input = std::fs::File::open(blob).map_err(internal)?;
        let output = self.stage("unpack", [partial.as_path()], Stdio::from(input)).await.map_err(internal)?;
        let result = match output {
            Ok(()) => tokio::fs::rename(&partial, layers.join(name)).await.map_err(internal),
            Err(message) => {
                Err(ImageError::new(FailureReason::ImageInvalid, format!("layer {name}: {message}")))
            }
        };
        if result.is_err() {
            self.remove(&[&partial]).await;
        }
        result
    }

    /// Deletes folders whose files may belong to other users. What cannot be deleted stays, and
    /// is logged.
    pub(crate) async fn remove(&self, folders: &[&Path]) {
        match self.stage("remove", folders.iter().copied(), Stdio::null()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "left-over files stay behind"),
            Err(error) => tracing::warn!(%error, "left-over files stay behind"),
        }
    }

    /// Runs a stage to its end; what it says of a failure is the inner error.
    pub(crate) async fn stage<A: AsRef<OsStr>>(
        &self,
        name: &str,
        args: impl IntoIterator<Item = A>,
        input: Stdio,
    ) -> io::Result<Result<(), String>> {
        let mut command = self.command(name);
        command.args(args).stdin(input).stdout(Stdio::null()).stderr(Stdio::piped());
        let output = command.output().await?;
        if output.status.success() {
            return Ok(Ok(()));
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Ok(Err(if message.is_empty() { output.status.to_string() } else { message }))
    }

    /// Starts a stage whose standard input and output are the caller's.
    pub(crate) fn carry(&self, name: &str, arg: String) -> io::Result<Child> {
        let mut command = self.command(name);
        command.arg(arg).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
    }

    fn command(&self, name: &str) -> Command {
        let mut command = stage_command(&self.program, name, &self.scope);
        command.arg(self.user_namespace.as_deref().unwrap_or(Path::new("-")));
        let mut command = Command::from(command);
        command.kill_on_drop(true);
        command
    }
}

/// The folder's name for a layer.
pub(crate) fn folder_name(digest: &str) -> Result<String, ImageError> {
    let hex = digest
        .strip_prefix("sha256:")
        .filter(|hex| hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
        .ok_or_else(|| ImageError::invalid(format!("{digest} is no sha256 digest")))?;
    Ok(hex[..LAYER_NAME_DIGITS].to_owned())
}

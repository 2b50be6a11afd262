//! The executor itself.

use std::{net::IpAddr, sync::Arc};

use crate::{
    config::{ExecutorConfig, Limits},
    error::ExecutorError,
    spec::TaskSpec,
    task::Task,
};

/// Runs tasks.
#[derive(Debug)]
pub struct Executor {}

impl Executor {
    /// Opens the state folder, clears what a killed executor left there, and makes the network.
    ///
    /// # Errors
    /// [`ExecutorError::Unsupported`] with the remedy when this machine cannot run containers;
    /// [`ExecutorError::Locked`].
    pub async fn open(config: ExecutorConfig) -> Result<Arc<Self>, ExecutorError> {
        let _ = config;
        Err(ExecutorError::ShutDown)
    }

    /// The address under which containers reach services of this machine that listen on
    /// [`Self::bind_address`].
    pub fn host_address(&self) -> IpAddr {
        IpAddr::from([127, 0, 0, 1])
    }

    /// Where a service of this machine has to listen to be reached by containers.
    pub fn bind_address(&self) -> IpAddr {
        IpAddr::from([127, 0, 0, 1])
    }

    /// What this machine lets the executor enforce.
    pub fn limits(&self) -> &Limits {
        static NONE: std::sync::OnceLock<Limits> = std::sync::OnceLock::new();
        NONE.get_or_init(Limits::default)
    }

    /// Starts a task; pulling and starting go on in the background and are told as events.
    /// Has to be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ExecutorError::InvalidSpec`], [`ExecutorError::Duplicate`], [`ExecutorError::ShutDown`].
    pub fn run(self: &Arc<Self>, spec: TaskSpec) -> Result<Task, ExecutorError> {
        Err(ExecutorError::Duplicate(spec.id))
    }

    /// Kills all tasks, and takes the network down. The layers stay.
    pub async fn shutdown(&self) {}
}

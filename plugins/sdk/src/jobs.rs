//! Workloads. The meaning of each item: `wit/jobs.wit`.

use crate::{Cursor, Result, error::unsupported};

pub use crate::bindings::exports::sockerless::backend::jobs::{
    Accelerator, Container, Handle, JobStatus, LogEntry, LogPage, MountPoint, Network, Output, Page, Phase,
    Probe, ProbeAction, Resources, Spec, Volume, VolumeSource, WorkloadKind,
};

/// What a container becomes in the cloud. No function waits for a long-running operation: it
/// returns, with a hint when to ask again.
pub trait Jobs {
    /// Creates a workload, and starts it when the spec says so. The same spec again gives the same handle.
    ///
    /// # Errors
    /// `already-exists` when another spec holds the name; `unsupported`.
    fn create(&self, spec: Spec) -> Result<Handle> {
        let _ = spec;
        unsupported("jobs")
    }

    /// Starts it; starting what was started is no error.
    ///
    /// # Errors
    /// `not-found` when it is gone.
    fn start(&self, handle: Handle) -> Result<Handle> {
        let _ = handle;
        unsupported("starting a job apart from its creation")
    }

    /// Where each is, in the order asked; `absent` for one that does not exist.
    ///
    /// # Errors
    /// Those that concern the call as a whole.
    fn status(&self, handles: Vec<Handle>) -> Result<Vec<JobStatus>> {
        let _ = handles;
        unsupported("the status of jobs")
    }

    /// Asks the cloud to end it; stopping what ended is no error.
    ///
    /// # Errors
    /// The provider's.
    fn stop(&self, handle: Handle, grace_seconds: u32) -> Result<Handle> {
        let _ = (handle, grace_seconds);
        unsupported("stopping a job")
    }

    /// Removes it with its record; deleting what is gone is no error.
    ///
    /// # Errors
    /// The provider's.
    fn delete(&self, handle: Handle) -> Result<()> {
        let _ = handle;
        unsupported("deleting a job")
    }

    /// All workloads of an owner.
    ///
    /// # Errors
    /// The provider's.
    fn list(&self, owner: String, cursor: Option<Cursor>) -> Result<Page> {
        let _ = (owner, cursor);
        unsupported("listing jobs")
    }

    /// What the main container wrote, as far as the cloud's log has it, and how late that may be: a container without an agent
    /// ends for its user when its last lines must be there.
    ///
    /// # Errors
    /// The provider's.
    fn logs(&self, handle: Handle, cursor: Option<Cursor>, limit: u32) -> Result<LogPage> {
        let _ = (handle, cursor, limit);
        unsupported("logs of jobs")
    }
}

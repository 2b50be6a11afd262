//! Runs OCI images on this machine the way a serverless cloud would: an image in, an isolated
//! process tree with its own network, its output and its exact exit status out.
//!
//! **This is no security boundary.** The isolation keeps a container's view honest (own
//! processes, files, network, user, capabilities), so that what works here works in the cloud.
//! It holds no hostile program: there is no seccomp filter, no LSM profile, and all tasks of an
//! ordinary user share one user namespace. Run only images that you would run with `docker run`.
//!
//! A program that uses this crate calls [`init`] first thing in `main`: the executor starts its
//! own program again for each step that needs namespaces of its own.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod cgroup;
mod config;
mod driver;
mod error;
mod executor;
mod hosts;
mod image;
mod leftover;
mod namespace;
mod network;
mod plan;
mod pod;
mod pool;
mod served;
mod spec;
mod stage;
mod task;
mod tuning;

pub use config::{ExecutorConfig, Limits, RegistryAccess, RegistryAuth};
pub use error::ExecutorError;
pub use executor::Executor;
pub use pod::{Pod, Probe};
pub use served::Serve;
pub use spec::{FailureReason, MountSource, TaskEvent, TaskMount, TaskSpec};
pub use task::{Task, TaskHandle};

/// To be called first thing in `main`, before any thread or async runtime exists. If this process
/// was started as one of the executor's stages, it does that stage's work and never returns.
pub fn init() {
    stage::enter();
}

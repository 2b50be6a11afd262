//! What a container, an image and an event are, and how they live.
//!
//! [`Engine`] is the whole surface: one method for each thing that the Docker Engine API can ask.
//! Answers are the API's own models (a list of containers is their JSON); HTTP is not known here.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod ask;
mod containers;
mod dependencies;
mod engine;
mod error;
mod events;
mod execs;
mod files;
mod filters;
mod images;
mod life;
mod locks;
mod networks;
mod pods;
mod publish;
mod reconcile;
mod requests;
mod supervisor;
mod system;
mod times;
mod trial;
mod tuning;
mod volumes;

pub use containers::{
    Attachment, BlkioEntry, BlkioStats, ContainerStats, CpuStats, CpuUsage, DetachScanner, Input,
    LABEL_LINGER, LABEL_TIMEOUT, Listing, MemoryStats, NetworkStats, PidsStats, Scanned, ThrottlingData,
    duration,
};
pub use dependencies::*;
pub use engine::Engine;
pub use error::{Error, ErrorKind, Result};
pub use files::BindOptions;
pub use images::ProgressStream;
pub use networks::{Subnet, SubnetError};
pub use requests::*;
pub use system::{API_VERSION, MIN_API_VERSION};
pub use trial::{Step, TRIAL_COMMAND, failed_step};
pub use volumes::Consistency;

//! Containers: what they are, what clients ask of them, and how they are shown.

mod attach;
mod create;
mod defaults;
mod detach;
mod filters;
mod health;
mod inspect;
mod lifecycle;
mod list;
mod log_options;
mod merge;
mod names;
mod network;
mod output;
mod pause;
mod ports;
mod process;
mod prune;
mod returning;
mod signals;
mod spec;
mod stats;
mod status;
mod summary;
mod table;
mod top;
mod unlink;
mod update;
mod validate;
mod warnings;
mod words;

pub use attach::{Attachment, Input};
pub use detach::{DetachScanner, Scanned};
pub use list::Listing;
pub use stats::*;
pub use validate::{LABEL_LINGER, LABEL_TIMEOUT, duration};

pub(crate) use defaults::clean;
pub(crate) use health::{check as health_check, word as health_word};
pub(crate) use log_options::bounds as log_bounds;
pub(crate) use network::endpoint_id;
pub(crate) use ports::{host_port, parse as parse_port};
pub(crate) use process::{environment, launch, launch_env, launch_message, memory_volumes, variable};
pub(crate) use spec::{ContainerRecord, Spec};
pub(crate) use table::{Entry, Table, View};
pub(crate) use validate::rung as mesh_rung;

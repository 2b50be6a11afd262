//! The system calls that no crate offers safely, and nothing else: all `unsafe` of this package.
#![allow(unsafe_code)]

mod device;
mod message;
mod notification;
mod ready;
mod seccomp;

pub(crate) use device::open_tun;
pub(crate) use message::{Received, receive_message};
pub(crate) use notification::{Notification, answer, is_valid, proceed, receive, wake_beside};
pub(crate) use ready::watch;
pub(crate) use seccomp::{deafen, forbid_new_privileges, install};

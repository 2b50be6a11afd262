//! Waiting for descriptors in the runtime.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use tokio::io::{Interest, unix::AsyncFd};

/// Watches a descriptor of our own for what is behind another.
///
/// # Errors
/// Without descriptors; `EPERM` for what cannot be waited for.
pub(crate) fn watch(descriptor: BorrowedFd<'_>, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    let own = descriptor.try_clone_to_owned()?;
    // SAFETY: an `OwnedFd` is open, has one number, and keeps both until it is dropped with the `AsyncFd`.
    let watched = unsafe { AsyncFd::register_with_interest(own, interest) };
    watched.map_err(|refused| refused.into_parts().1)
}

//! Locks of what is in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// For what is whole at every step of a change: a panic in one leaves nothing half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

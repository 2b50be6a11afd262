//! Faults inside a log, before they get the container's name.

use std::io;

use sockerless_ports::logs::LogError;

/// See [`LogError`].
#[derive(Debug)]
pub enum Fault {
    /// The file system's word.
    Io(io::Error),
    /// Where, and what.
    Damaged(u64, &'static str),
    /// The file that held it was dropped by rotation.
    Dropped,
}

impl Fault {
    /// The port's error.
    pub fn of(self, container: &str) -> LogError {
        let container = container.to_owned();
        match self {
            Self::Io(source) => LogError::Io { container, source },
            Self::Dropped => {
                let source = io::Error::new(io::ErrorKind::NotFound, "it was dropped by rotation");
                LogError::Io { container, source }
            }
            Self::Damaged(offset, what) => LogError::Damaged { container, offset, what: what.into() },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

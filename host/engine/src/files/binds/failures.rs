//! What of a merge could not be done.

use crate::{Error, Result};

/// What could not be done, while the rest was: the first thing and how many.
#[derive(Debug, Default)]
pub(super) struct Failures {
    first: Option<Error>,
    count: u64,
}

impl Failures {
    pub fn add(&mut self, error: Error) {
        self.add_all(error, 1);
    }

    /// Several things that failed alike; with the first one's words.
    pub fn add_all(&mut self, error: Error, count: u64) {
        self.first.get_or_insert(error);
        self.count += count;
    }

    pub fn append(&mut self, other: Self) {
        self.first = self.first.take().or(other.first);
        self.count += other.count;
    }

    /// With other words for the first.
    pub fn map(self, words: impl FnOnce(Error) -> Error) -> Self {
        Self { first: self.first.map(words), ..self }
    }

    pub fn told(self) -> Result<()> {
        let Some(first) = self.first else { return Ok(()) };
        if self.count == 1 {
            return Err(first);
        }
        let message = format!("{} (and {} more)", first.message, self.count - 1);
        Err(Error::new(first.kind, message))
    }
}

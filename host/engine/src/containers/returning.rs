//! Containers whose process has ended while what it changed is still being brought back: their end is not told yet.

use tokio::sync::watch;

/// How often at once a container's changes are being brought back: twice when the daemon hears of an end again.
pub(crate) struct Returning(watch::Sender<usize>);

/// Changes of a container are being brought back, until it is dropped.
pub(crate) struct Returns<'a>(&'a Returning);

impl Default for Returning {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Returning {
    /// Something begins to be brought back.
    pub fn begin(&self) -> Returns<'_> {
        self.0.send_modify(|count| *count += 1);
        Returns(self)
    }

    /// Waits until nothing is being brought back. Gives whether something was.
    pub async fn over(&self) -> bool {
        let was = *self.0.borrow() > 0;
        // The sender lives as long as this does.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
        was
    }
}

impl Drop for Returns<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

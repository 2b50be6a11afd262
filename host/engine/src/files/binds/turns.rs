//! Whose turn it is at a path of the user's: what two containers change of one directory, or of one within the other, they
//! change one after the other.

use std::{
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

/// All that have a turn or wait for one, in the order in which they came.
#[derive(Default)]
pub(super) struct Turns(Arc<Queue>);

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    left: Notify,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    tickets: Vec<Ticket>,
}

struct Ticket {
    number: u64,
    path: PathBuf,
    writes: bool,
}

/// The turn, as long as it lives. Blocking work that may outlast whoever waits for it has to hold it.
pub(super) struct Turn {
    queue: Arc<Queue>,
    number: u64,
}

impl Ticket {
    /// Those who only read are in nobody's way who does the same.
    fn is_in_the_way_of(&self, other: &Self) -> bool {
        let overlaps = self.path.starts_with(&other.path) || other.path.starts_with(&self.path);
        overlaps && (self.writes || other.writes)
    }
}

impl Queue {
    fn change<T>(&self, change: impl FnOnce(&mut Waiting) -> T) -> T {
        // Each change is one insertion or removal: a panic leaves nothing half done.
        change(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_first(&self, number: u64) -> bool {
        self.change(|waiting| {
            let own = waiting.tickets.iter().find(|ticket| ticket.number == number);
            own.is_some_and(|own| {
                let mut before = waiting.tickets.iter().take_while(|ticket| ticket.number < number);
                !before.any(|ticket| ticket.is_in_the_way_of(own))
            })
        })
    }
}

impl Turns {
    /// Waits for the turn at a path, without links on it. Who has one must not wait for another.
    pub async fn take(&self, path: &Path, writes: bool) -> Turn {
        let queue = Arc::clone(&self.0);
        let number = queue.change(|waiting| {
            waiting.next += 1;
            let ticket = Ticket { number: waiting.next, path: path.to_owned(), writes };
            waiting.tickets.push(ticket);
            waiting.next
        });
        // From here on it is given up if nobody waits any more.
        let turn = Turn { queue, number };
        loop {
            let mut left = pin!(turn.queue.left.notified());
            left.as_mut().enable();
            if turn.queue.is_first(number) {
                break;
            }
            left.await;
        }
        turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.queue.change(|waiting| waiting.tickets.retain(|ticket| ticket.number != self.number));
        self.queue.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn only_who_changes_the_same_files_waits() {
        let turns = Turns::default();
        let first = turns.take(Path::new("/home/me/work"), true).await;
        for path in ["/home/me/work", "/home/me", "/home/me/work/sub/file"] {
            for writes in [true, false] {
                assert!(turns.take(Path::new(path), writes).now_or_never().is_none(), "{path}");
            }
        }
        for path in ["/home/me/workshop", "/home/you", "/home/me/wor"] {
            turns.take(Path::new(path), true).now_or_never().unwrap();
        }
        drop(first);
        let readers = [(); 3].map(|()| turns.take(Path::new("/home"), false).now_or_never().unwrap());
        assert!(turns.take(Path::new("/home/me"), true).now_or_never().is_none());
        drop(readers);
        turns.take(Path::new("/home/me"), true).now_or_never().unwrap();
    }

    #[tokio::test]
    async fn who_came_first_goes_first_and_who_gave_up_is_in_nobodys_way() {
        let turns = Turns::default();
        let path = Path::new("/work");
        let reader = turns.take(path, false).await;
        let mut writer = Box::pin(turns.take(path, true));
        assert!(writer.as_mut().now_or_never().is_none());
        let mut late = Box::pin(turns.take(path, false));
        assert!(late.as_mut().now_or_never().is_none(), "readers that come and go do not keep a writer out");
        drop(reader);
        assert!(late.as_mut().now_or_never().is_none());
        drop(writer);
        assert!(late.as_mut().now_or_never().is_some());
    }
}

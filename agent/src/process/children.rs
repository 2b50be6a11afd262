//! Whose end is whose: the agent collects every child, and tells those that wait for one.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use tokio::{
    signal::unix::Signal,
    sync::{Notify, oneshot},
};

use super::reap::{self, Ended};
use crate::{say, shared::Shared};

/// The exit code of a process whose end nobody saw.
const LOST: i32 = 255;

/// The agent's children.
#[derive(Default)]
pub struct Children {
    table: RefCell<Table>,
    /// There may be somebody to collect.
    nudge: Notify,
}

#[derive(Default)]
struct Table {
    waiting: HashMap<u32, oneshot::Sender<Ended>>,
    /// How many are being started: their numbers are not known yet.
    starting: usize,
    /// Those that ended while some were being started.
    unclaimed: HashMap<u32, Ended>,
}

/// A child is being started.
pub struct Starting<'a>(&'a Children);

impl Children {
    /// To be called before a child is started: it may end before its number is known.
    pub fn starting(&self) -> Starting<'_> {
        self.table.borrow_mut().starting += 1;
        Starting(self)
    }

    /// Collects all that have ended. Whether there are any children left.
    pub fn collect(&self) -> bool {
        loop {
            match reap::next() {
                Ok(Some(ended)) => self.table.borrow_mut().ended(ended),
                Ok(None) => return true,
                Err(_) => {
                    let mut table = self.table.borrow_mut();
                    for (pid, waiter) in table.waiting.drain() {
                        say!("process {pid} was lost");
                        // Whoever does not wait any more need not be told.
                        let _ = waiter.send(Ended { pid, code: LOST, signal: None });
                    }
                    return false;
                }
            }
        }
    }
}

impl Table {
    fn ended(&mut self, ended: Ended) {
        match self.waiting.remove(&ended.pid) {
            Some(waiter) => drop(waiter.send(ended)),
            None if self.starting > 0 => drop(self.unclaimed.insert(ended.pid, ended)),
            None => {}
        }
    }
}

impl Starting<'_> {
    /// The child runs: gives its end.
    pub fn claim(self, pid: u32) -> oneshot::Receiver<Ended> {
        let (sender, receiver) = oneshot::channel();
        let mut table = self.0.table.borrow_mut();
        let number = i32::try_from(pid).map_or(Pid::from_raw(i32::MAX), Pid::from_raw);
        // Collected already, unless the number is somebody else's again.
        if kill(number, None) == Err(Errno::ESRCH) {
            let ended = table.unclaimed.remove(&pid).unwrap_or(Ended { pid, code: LOST, signal: None });
            // The receiver is here.
            let _ = sender.send(ended);
        } else {
            table.waiting.insert(pid, sender);
        }
        receiver
    }
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        let mut table = self.0.table.borrow_mut();
        table.starting -= 1;
        if table.starting == 0 {
            table.unclaimed = HashMap::new();
        }
        self.0.nudge.notify_one();
    }
}

/// Collects children for ever.
pub async fn keep(shared: Rc<Shared>, mut signal: Signal) {
    loop {
        shared.children.collect();
        tokio::select! {
            _ = signal.recv() => {}
            () = shared.children.nudge.notified() => {}
        }
    }
}

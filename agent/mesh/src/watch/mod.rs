//! The thread that takes caught calls: most go on at once, the rest is handed to the runtime.

mod decide;
mod names;
mod wanted;

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use rustix::{
    buffer::spare_capacity,
    event::{EventfdFlags, epoll, eventfd},
    io::Errno,
};
use tokio::sync::mpsc;

use crate::{Addresses, caller::Call, kernel, table::Table, tuning};

pub(crate) use wanted::{From, Message, Messages, Wanted};

/// What the watching thread and the runtime share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) addresses: Addresses,
    pub(crate) table: Table,
}

/// The thread, seen from outside. It ends when this is dropped; caught calls fail with `ENOSYS` from then on.
#[derive(Debug)]
pub(crate) struct Watch {
    news: Arc<News>,
}

#[derive(Debug)]
struct News {
    wake: OwnedFd,
    listeners: Mutex<Vec<OwnedFd>>,
    end: AtomicBool,
}

/// The number under which the thread is woken: no descriptor's.
const WAKE: u64 = u64::MAX;

impl Watch {
    pub(crate) fn start(
        shared: Arc<Shared>,
        hand: mpsc::UnboundedSender<(Call, Wanted)>,
    ) -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let news = Arc::new(News { wake, listeners: Mutex::default(), end: AtomicBool::new(false) });
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &news.wake, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)?;
        let watched = Watched { news: Arc::clone(&news), epoll, listeners: HashMap::new(), shared, hand };
        thread::Builder::new().name("mesh".into()).stack_size(tuning::STACK).spawn(move || watched.run())?;
        Ok(Self { news })
    }

    pub(crate) fn add(&self, listener: OwnedFd) -> io::Result<()> {
        self.news.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
        rustix::io::write(&self.news.wake, &1_u64.to_ne_bytes())?;
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.news.end.store(true, Ordering::Release);
        // Its counter cannot be full.
        let _ = rustix::io::write(&self.news.wake, &1_u64.to_ne_bytes());
    }
}

struct Watched {
    news: Arc<News>,
    epoll: OwnedFd,
    listeners: HashMap<u64, Arc<OwnedFd>>,
    shared: Arc<Shared>,
    hand: mpsc::UnboundedSender<(Call, Wanted)>,
}

impl Watched {
    fn run(mut self) {
        let mut events = Vec::with_capacity(16);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                // Of its own descriptors: cannot be.
                Err(_) => return,
            }
            for event in &events {
                let (key, flags) = (event.data.u64(), event.flags);
                if key == WAKE {
                    if self.news.end.load(Ordering::Acquire) {
                        return;
                    }
                    self.take();
                } else if flags.contains(epoll::EventFlags::IN) {
                    self.receive(key);
                } else {
                    // All its processes are gone.
                    if let Some(listener) = self.listeners.remove(&key) {
                        // A call that is under way still holds it. It is there, so that it can be removed.
                        let _ = epoll::delete(&self.epoll, &listener);
                    }
                }
            }
        }
    }

    fn take(&mut self) {
        let mut count = [0; 8];
        // Woken for nothing is no harm.
        let _ = rustix::io::read(&self.news.wake, &mut count);
        let listeners =
            std::mem::take(&mut *self.news.listeners.lock().unwrap_or_else(PoisonError::into_inner));
        for listener in listeners {
            // Older kernels do without.
            let _ = kernel::wake_beside(listener.as_fd());
            // Numbers of descriptors are not negative.
            let key = listener.as_raw_fd() as u64;
            let data = epoll::EventData::new_u64(key);
            // What cannot be watched is closed, and its calls fail.
            if epoll::add(&self.epoll, &listener, data, epoll::EventFlags::IN).is_ok() {
                self.listeners.insert(key, Arc::new(listener));
            }
        }
    }

    fn receive(&mut self, key: u64) {
        let Some(listener) = self.listeners.get(&key) else { return };
        // Interrupted meanwhile: it comes again if it is still wanted.
        let Ok(told) = kernel::receive(listener.as_fd()) else { return };
        let call = Call::new(Arc::clone(listener), told);
        match self.shared.decide(&call) {
            Decision::Proceed => call.proceed(),
            Decision::Answer(outcome) => {
                call.answer(outcome);
            }
            Decision::Hand(wanted) => {
                // Without a runtime the call goes on as it is.
                let _ = self.hand.send((call, wanted));
            }
        }
    }
}

/// What becomes of a call.
#[derive(Debug)]
enum Decision {
    /// It is none of ours.
    Proceed,
    Answer(Result<i64, Errno>),
    /// It takes time, or the fabric.
    Hand(Wanted),
}

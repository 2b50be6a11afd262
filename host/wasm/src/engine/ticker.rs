//! The clock that makes computing guests give way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, Thread},
};

use wasmtime::Engine;

use crate::limits::EPOCH;

/// Advances the engine's epoch while calls are in flight, and sleeps while there are none.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    calls: AtomicUsize,
    stopped: AtomicBool,
}

/// As long as it exists, the epoch advances.
pub(crate) struct Ticking(Arc<Shared>);

impl Ticker {
    /// Starts the clock's thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let (engine, state) = (engine.weak(), Arc::clone(&shared));
        let handle = thread::Builder::new().name("plugin-epochs".to_owned()).spawn(move || {
            while !state.stopped.load(Ordering::Acquire) {
                if state.calls.load(Ordering::Acquire) == 0 {
                    thread::park();
                    continue;
                }
                thread::sleep(EPOCH);
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => return,
                }
            }
        })?;
        Ok(Self { shared, thread: handle.thread().clone() })
    }

    /// Announces a call.
    pub(crate) fn tick(&self) -> Ticking {
        if self.shared.calls.fetch_add(1, Ordering::AcqRel) == 0 {
            self.thread.unpark();
        }
        Ticking(Arc::clone(&self.shared))
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

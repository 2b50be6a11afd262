//! Answers that were not heard.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
};

use rustix::io::Errno;

use crate::{
    caller::{Call, Signature},
    tuning,
};

/// What has been done for calls that a signal interrupted before their answer: the kernel makes them again, the same thread the same
/// call from the same place, and they shall not be done twice.
#[derive(Debug, Default)]
pub(crate) struct Unheard {
    known: RefCell<Known>,
}

/// By thread, and the threads in the order in which they came: the oldest are forgotten.
type Known = (BTreeMap<u32, (Signature, i64)>, VecDeque<u32>);

impl Unheard {
    /// Answers what was done before. The call is given back if it was not.
    pub(crate) fn answer(&self, call: Call) -> Option<Call> {
        let thread = call.told.thread;
        let done = self.known.borrow_mut().0.remove(&thread);
        match done {
            Some((what, outcome)) if what == call.signature() => {
                self.finish(call, Ok(outcome));
                None
            }
            _ => Some(call),
        }
    }

    /// Answers what is done now.
    pub(crate) fn finish(&self, call: Call, outcome: Result<i64, Errno>) {
        let (thread, what) = (call.told.thread, call.signature());
        if call.answer(outcome) {
            return;
        }
        // An error may be found anew.
        let Ok(outcome) = outcome else { return };
        let (known, order) = &mut *self.known.borrow_mut();
        known.insert(thread, (what, outcome));
        order.push_back(thread);
        if order.len() > tuning::UNHEARD
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
    }
}

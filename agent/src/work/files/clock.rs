//! Since when a file counts as changed: since the agent began.

use std::{fs::Metadata, os::unix::fs::MetadataExt, sync::OnceLock, time::Duration};

use rustix::time::{ClockId, Timespec, clock_gettime};

/// When the agent began, by both clocks.
static BEGAN: OnceLock<(Time, Time)> = OnceLock::new();

/// Seconds and nanoseconds.
type Time = (i64, i64);

/// Notes the time. To be called before anything else is done.
pub fn begin() {
    BEGAN.get_or_init(now);
}

/// What changed from this moment on did so in the agent's time.
///
/// The kernel stamps files with its coarse clock, and so this is its time, too: an exact clock would be ahead of it, and what
/// is written in the agent's first milliseconds would count as old. If the clock was set back since, the beginning is that
/// much earlier.
pub fn since() -> Since {
    let (began, up) = *BEGAN.get_or_init(now);
    let (now, now_up) = now();
    Since(began.min(difference(now, difference(now_up, up))))
}

/// See [`since`].
#[derive(Debug, Clone, Copy)]
pub struct Since(Time);

impl Since {
    /// Whether a file's content or metadata changed (`st_ctime`, which nobody can set).
    pub fn is_before(&self, meta: &Metadata) -> bool {
        (meta.ctime(), meta.ctime_nsec()) >= self.0
    }

    /// Everything is new.
    #[cfg(test)]
    pub fn ever() -> Self {
        Self((i64::MIN, 0))
    }

    /// Nothing is new.
    #[cfg(test)]
    pub fn never() -> Self {
        Self((i64::MAX, 0))
    }
}

/// The time of files, and how long the machine is up.
fn now() -> (Time, Time) {
    let time = |Timespec { tv_sec, tv_nsec }| (tv_sec, tv_nsec);
    (time(clock_gettime(ClockId::RealtimeCoarse)), time(clock_gettime(ClockId::Boottime)))
}

fn difference((seconds, nanoseconds): Time, (less, nanoless): Time) -> Time {
    let second = Duration::from_secs(1).as_nanos() as i64;
    match nanoseconds - nanoless {
        rest @ 0.. => (seconds - less, rest),
        rest => (seconds - less - 1, rest + second),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_after_the_beginning_is_new() {
        let folder = tempfile::tempdir().unwrap();
        begin();
        std::fs::write(folder.path().join("new"), "").unwrap();
        let since = since();
        assert!(since.is_before(&std::fs::metadata(folder.path().join("new")).unwrap()));
        assert!(!since.is_before(&std::fs::metadata("/proc/self/exe").unwrap()));
    }

    #[test]
    fn differences_borrow() {
        assert_eq!(difference((5, 1), (2, 2)), (2, 999_999_999));
        assert_eq!(difference((5, 2), (2, 2)), (3, 0));
    }
}

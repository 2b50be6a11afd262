//! Calls per minute.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A sliding window of a minute.
pub struct PerMinute {
    limit: u32,
    calls: Mutex<VecDeque<Instant>>,
}

impl PerMinute {
    /// At most `limit` calls in any minute.
    pub fn new(limit: u32) -> Self {
        Self { limit, calls: Mutex::new(VecDeque::new()) }
    }

    /// How many it grants.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Takes one call, or says when there is room again.
    pub fn take(&self, now: Instant) -> Result<(), Duration> {
        const WINDOW: Duration = Duration::from_secs(60);
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        while calls.front().is_some_and(|call| now.duration_since(*call) >= WINDOW) {
            calls.pop_front();
        }
        if calls.len() < self.limit as usize {
            calls.push_back(now);
            return Ok(());
        }
        Err(calls.front().map_or(WINDOW, |first| WINDOW - now.duration_since(*first)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_minute_says_when_the_first_call_leaves_it() {
        let quota = PerMinute::new(2);
        let start = Instant::now();
        assert_eq!(quota.take(start), Ok(()));
        assert_eq!(quota.take(start + Duration::from_secs(10)), Ok(()));
        assert_eq!(quota.take(start + Duration::from_secs(20)), Err(Duration::from_secs(40)));
        assert_eq!(quota.take(start + Duration::from_secs(60)), Ok(()));
        assert_eq!(quota.take(start + Duration::from_secs(61)), Err(Duration::from_secs(9)));
    }
}

//! How fast something may be.

use std::time::Instant;

/// A bucket that fills at a rate and holds at most a burst.
#[derive(Debug)]
pub struct Bucket {
    rate: f64,
    burst: f64,
    level: f64,
    last: Instant,
}

impl Bucket {
    /// A full one. `rate` is per second.
    pub fn new(rate: f64, burst: f64, now: Instant) -> Self {
        Self { rate, burst, level: burst, last: now }
    }

    /// Fills it up to now.
    pub fn fill(&mut self, now: Instant) {
        let gained = now.duration_since(self.last).as_secs_f64() * self.rate;
        self.level = (self.level + gained).min(self.burst);
        self.last = now;
    }

    /// Whether so much is in it.
    pub fn holds(&self, amount: f64) -> bool {
        self.level >= amount
    }

    /// What is in it.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// Takes out.
    pub fn take(&mut self, amount: f64) {
        self.level -= amount;
    }
}

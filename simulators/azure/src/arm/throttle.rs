//! Resource Manager's token buckets, for each principal and subscription.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::Method;
use sockerless_simulator_common::rate::Bucket;

use crate::config::Quotas;
use crate::limits;

/// Which bucket a call takes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// GET and HEAD.
    Read,
    /// PUT, PATCH and POST.
    Write,
    /// DELETE.
    Delete,
}

impl Kind {
    /// By the call's method.
    pub fn of(method: &Method) -> Self {
        match *method {
            Method::GET | Method::HEAD => Self::Read,
            Method::DELETE => Self::Delete,
            _ => Self::Write,
        }
    }

    /// As messages name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
        }
    }

    /// The header that says what is left.
    pub fn header(self) -> &'static str {
        match self {
            Self::Read => "x-ms-ratelimit-remaining-subscription-reads",
            Self::Write => "x-ms-ratelimit-remaining-subscription-writes",
            Self::Delete => "x-ms-ratelimit-remaining-subscription-deletes",
        }
    }
}

/// All buckets.
pub struct Throttle {
    quotas: Quotas,
    buckets: Mutex<HashMap<String, [Bucket; 3]>>,
}

impl Throttle {
    /// Full ones.
    pub fn new(quotas: Quotas) -> Self {
        Self { quotas, buckets: Mutex::default() }
    }

    /// Takes one call and says how many are left, or when there is one again.
    ///
    /// # Errors
    /// How long to wait.
    pub fn take(&self, principal: &str, kind: Kind, now: Instant) -> Result<u64, Duration> {
        let quota = [self.quotas.reads, self.quotas.writes, self.quotas.deletes];
        let index = match kind {
            Kind::Read => 0,
            Kind::Write => 1,
            Kind::Delete => 2,
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= limits::PRINCIPALS && !buckets.contains_key(principal) {
            buckets.clear();
        }
        let full = || quota.map(|(burst, rate)| Bucket::new(rate, burst, now));
        let bucket = &mut buckets.entry(principal.to_owned()).or_insert_with(full)[index];
        bucket.fill(now);
        if bucket.holds(1.0) {
            bucket.take(1.0);
            return Ok(bucket.level().max(0.0) as u64);
        }
        let (_, rate) = quota[index];
        let missing = (1.0 - bucket.level()).max(0.0);
        Err(Duration::from_secs_f64(if rate > 0.0 { missing / rate } else { 3_600.0 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_call_has_a_bucket_that_fills_again() {
        let throttle = Throttle::new(Quotas { reads: (2.0, 1.0), writes: (1.0, 0.5), deletes: (1.0, 0.5) });
        let start = Instant::now();
        assert_eq!(throttle.take("p", Kind::Read, start), Ok(1));
        assert_eq!(throttle.take("p", Kind::Read, start), Ok(0));
        assert_eq!(throttle.take("p", Kind::Read, start), Err(Duration::from_secs(1)));
        assert_eq!(throttle.take("p", Kind::Write, start), Ok(0));
        assert_eq!(throttle.take("p", Kind::Write, start), Err(Duration::from_secs(2)));
        assert_eq!(throttle.take("other", Kind::Read, start), Ok(1));
        assert_eq!(throttle.take("p", Kind::Read, start + Duration::from_secs(1)), Ok(0));
    }
}

//! The only place that repeats calls to a cloud: by error code, with growing pauses, and with a
//! circuit breaker for each operation.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sockerless_ports::backend::{self, ErrorCode};
use tokio::time::Instant;

use crate::tuning::{BACKOFF, BREAKER_FAILURES, BREAKER_PAUSE};

/// Pauses that double up to a longest, each spread by a random half, so that what failed together does not
/// return together.
pub(super) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub fn new(longest: Duration) -> Self {
        Self { next: BACKOFF.0, longest }
    }

    /// The next pause; not shorter than what the provider asks for.
    pub fn pause(&mut self, asked: Option<u64>) -> Duration {
        let spread = self.next.mul_f64(rand::random_range(0.5..1.0));
        self.next = (self.next * 2).min(self.longest);
        spread.max(Duration::from_millis(asked.unwrap_or(0)))
    }
}

/// Circuits of a backend, by operation.
#[derive(Default)]
pub(super) struct Breaker(Mutex<HashMap<&'static str, Circuit>>);

#[derive(Default)]
struct Circuit {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    /// How long to wait before a try. Zero lets this caller through, and, through an open circuit, nobody
    /// else for a while.
    pub fn wait(&self, operation: &'static str, now: Instant) -> Duration {
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let circuit = circuits.entry(operation).or_default();
        match circuit.open_until {
            Some(until) if until > now => until - now,
            Some(_) => {
                circuit.open_until = Some(now + BREAKER_PAUSE);
                Duration::ZERO
            }
            None => Duration::ZERO,
        }
    }

    /// What came of a try.
    pub fn record(&self, operation: &'static str, transient_failure: bool, now: Instant) {
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let circuit = circuits.entry(operation).or_default();
        if transient_failure {
            circuit.failures += 1;
            if circuit.failures >= BREAKER_FAILURES {
                circuit.open_until = Some(now + BREAKER_PAUSE);
            }
        } else {
            *circuit = Circuit::default();
        }
    }
}

/// Repeats a call while its errors are transient and `patience` (none: for ever) lasts.
pub(super) async fn retry<T, F>(
    breaker: &Breaker,
    operation: &'static str,
    patience: Option<Duration>,
    longest: Duration,
    mut call: impl FnMut() -> F,
) -> backend::Result<T>
where
    F: Future<Output = backend::Result<T>>,
{
    let begin = Instant::now();
    let mut backoff = Backoff::new(longest);
    let mut last = None;
    loop {
        let wait = breaker.wait(operation, Instant::now());
        if !wait.is_zero() {
            if let (Some(error), Some(patience)) = (&last, patience)
                && begin.elapsed() + wait > patience
            {
                return Err(backend::Error::clone(error));
            }
            tokio::time::sleep(wait).await;
            continue;
        }
        let result = call().await;
        let transient = matches!(&result, Err(error) if error.code.is_transient());
        let working = matches!(&result, Err(error) if error.code == ErrorCode::NotReady);
        breaker.record(operation, transient && !working, Instant::now());
        let error = match result {
            Err(error) if transient => error,
            result => return result,
        };
        // A provider at work is no provider in trouble: it is asked again when it said.
        let pause = match error.retry_after_ms {
            Some(asked) if working => Duration::from_millis(asked).max(BACKOFF.0 / 2),
            asked => backoff.pause(asked),
        };
        if patience.is_some_and(|patience| begin.elapsed() + pause > patience) {
            return Err(error);
        }
        if working {
            tracing::debug!(operation, %error, ?pause, "the cloud is still at work on what a call needs");
            last = Some(error);
            tokio::time::sleep(pause).await;
            continue;
        }
        tracing::warn!(operation, %error, code = %error.code, ?pause, "a call to the cloud failed and is tried again");
        last = Some(error);
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn unavailable() -> backend::Error {
        backend::Error::new(backend::ErrorCode::Unavailable, "down")
    }

    #[tokio::test(start_paused = true)]
    async fn a_transient_error_is_tried_again_and_a_final_one_is_not() {
        let tries = AtomicU32::new(0);
        let call = || async {
            match tries.fetch_add(1, Ordering::SeqCst) {
                0 | 1 => Err(unavailable()),
                _ => Ok(7),
            }
        };
        assert_eq!(retry(&Breaker::default(), "create", None, BACKOFF.1, call).await, Ok(7));
        let tries = AtomicU32::new(0);
        let denied = backend::Error::new(backend::ErrorCode::PermissionDenied, "no");
        let call = || async {
            tries.fetch_add(1, Ordering::SeqCst);
            Err::<(), _>(denied.clone())
        };
        assert_eq!(retry(&Breaker::default(), "create", None, BACKOFF.1, call).await, Err(denied.clone()));
        assert_eq!(tries.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_providers_own_pause_is_honoured() {
        let begin = Instant::now();
        let first = std::sync::atomic::AtomicBool::new(true);
        let call = || async {
            if first.swap(false, Ordering::SeqCst) {
                Err(backend::Error { retry_after_ms: Some(7000), ..unavailable() })
            } else {
                Ok(())
            }
        };
        assert_eq!(retry(&Breaker::default(), "create", None, BACKOFF.1, call).await, Ok(()));
        assert!(begin.elapsed() >= Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cloud_that_is_at_work_is_asked_when_it_said_and_opens_no_circuit() {
        let (begin, breaker, tries) = (Instant::now(), Breaker::default(), AtomicU32::new(0));
        let call = || async {
            if tries.fetch_add(1, Ordering::SeqCst) < 3 * BREAKER_FAILURES {
                let working = backend::Error::new(ErrorCode::NotReady, "still being made");
                return Err(backend::Error { retry_after_ms: Some(1000), ..working });
            }
            Ok(())
        };
        assert_eq!(retry(&breaker, "start", None, BACKOFF.1, call).await, Ok(()));
        assert_eq!(begin.elapsed().as_secs(), u64::from(3 * BREAKER_FAILURES));
        assert_eq!(breaker.wait("start", Instant::now()), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_circuit_lets_one_try_through_in_a_while() {
        let breaker = Breaker::default();
        let now = Instant::now();
        for _ in 0..BREAKER_FAILURES {
            assert_eq!(breaker.wait("status", now), Duration::ZERO);
            breaker.record("status", true, now);
        }
        assert_eq!(breaker.wait("status", now), BREAKER_PAUSE);
        assert_eq!(breaker.wait("delete", now), Duration::ZERO);
        let later = now + BREAKER_PAUSE;
        assert_eq!(breaker.wait("status", later), Duration::ZERO);
        assert_eq!(breaker.wait("status", later), BREAKER_PAUSE);
        breaker.record("status", false, later);
        assert_eq!(breaker.wait("status", later), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let call = || async { Err::<(), _>(unavailable()) };
        let result =
            retry(&Breaker::default(), "create", Some(Duration::from_secs(60)), BACKOFF.1, call).await;
        assert_eq!(result, Err(unavailable()));
    }
}

//! What results of a health check mean: dockerd's state machine (`daemon/health.go`), without a clock of its own.

use std::time::Duration;

use sockerless_agent_wire::request::{Health, HealthCheck, HealthStatus, Probe};

use crate::tuning;

/// See the module.
#[derive(Debug)]
pub struct Monitor {
    interval: Duration,
    start_interval: Duration,
    start_period: Duration,
    retries: u32,
    health: Health,
}

impl Monitor {
    /// For a process that has just begun.
    pub fn new(check: &HealthCheck) -> Self {
        Self {
            interval: Duration::from_millis(check.interval).max(tuning::HEALTH_SHORTEST),
            start_interval: Duration::from_millis(check.start_interval).max(tuning::HEALTH_SHORTEST),
            start_period: Duration::from_millis(check.start_period),
            retries: if check.retries == 0 { tuning::HEALTH_RETRIES } else { check.retries },
            health: Health::default(),
        }
    }

    /// How long to wait for the next probe, from now, which is so long after the process's beginning.
    pub fn pause(&self, since_start: Duration) -> Duration {
        let is_starting = self.health.status == HealthStatus::Starting && since_start < self.start_period;
        if is_starting { self.start_interval } else { self.interval }
    }

    /// Takes the result of a probe that began so long after the process's beginning.
    pub fn take(&mut self, probe: Probe, began: Duration) -> &Health {
        let health = &mut self.health;
        let is_success = probe.code == 0;
        health.probes += 1;
        health.log.push(probe);
        if health.log.len() > tuning::HEALTH_LOG {
            health.log.remove(0);
        }
        if is_success {
            health.failing_streak = 0;
            health.status = HealthStatus::Healthy;
        } else if health.status != HealthStatus::Starting || began >= self.start_period {
            health.failing_streak = health.failing_streak.saturating_add(1);
            if health.failing_streak >= self.retries {
                health.status = HealthStatus::Unhealthy;
            }
        }
        health
    }

    /// Where it stands.
    pub fn health(&self) -> &Health {
        &self.health
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(retries: u32, start_period: u64) -> HealthCheck {
        HealthCheck {
            interval: 30_000,
            start_interval: 1_000,
            start_period,
            retries,
            ..HealthCheck::default()
        }
    }

    fn probe(code: i32) -> Probe {
        Probe { code, ..Probe::default() }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn failures_in_the_start_period_do_not_count_until_a_success_has_ended_it() {
        let mut monitor = Monitor::new(&check(2, 60_000));
        for second in 0..59 {
            let health = monitor.take(probe(1), seconds(second));
            assert_eq!((health.status, health.failing_streak), (HealthStatus::Starting, 0));
        }
        assert_eq!(monitor.take(probe(0), seconds(59)).status, HealthStatus::Healthy);
        assert_eq!(monitor.take(probe(1), seconds(59)).failing_streak, 1);
        assert_eq!(monitor.take(probe(-1), seconds(59)).status, HealthStatus::Unhealthy);
        assert_eq!(monitor.take(probe(0), seconds(59)).status, HealthStatus::Healthy);
    }

    #[test]
    fn probes_are_closer_together_while_it_starts() {
        let mut monitor = Monitor::new(&check(2, 60_000));
        assert_eq!(monitor.pause(seconds(0)), seconds(1));
        assert_eq!(monitor.pause(seconds(60)), seconds(30));
        monitor.take(probe(0), seconds(1));
        assert_eq!(monitor.pause(seconds(2)), seconds(30));
        assert_eq!(Monitor::new(&check(2, 0)).pause(seconds(0)), seconds(30));
    }

    proptest! {
        #[test]
        fn the_last_results_say_it_all(
            codes in proptest::collection::vec(-1i32..3, 1..40), retries in 0u32..5, period in 0u64..20,
        ) {
            let mut monitor = Monitor::new(&check(retries, period * 1000));
            let retries = if retries == 0 { 3 } else { retries as usize };
            for count in 1..=codes.len() {
                let began = count - 1;
                let health = monitor.take(probe(codes[began]), seconds(began as u64)).clone();
                // Told anew from the whole history.
                let history = &codes[..count];
                let succeeded = history.iter().position(|code| *code == 0);
                let counts = |at: usize| at as u64 >= period || succeeded.is_some_and(|first| at > first);
                let streak = (0..count).rev().take_while(|at| history[*at] != 0).filter(|at| counts(*at)).count();
                prop_assert_eq!(health.failing_streak as usize, streak);
                let expected = match (streak, succeeded) {
                    (streak, _) if streak >= retries => HealthStatus::Unhealthy,
                    (0, Some(_)) => HealthStatus::Healthy,
                    (0, None) => HealthStatus::Starting,
                    // In between it is what it was.
                    _ => health.status,
                };
                prop_assert_eq!(health.status, expected);
                prop_assert_eq!(health.probes, count as u64);
                let last: Vec<i32> = health.log.iter().map(|probe| probe.code).collect();
                prop_assert_eq!(&last, &history[count.saturating_sub(5)..]);
            }
        }

        #[test]
        fn it_never_starts_again(codes in proptest::collection::vec(-1i32..2, 1..30)) {
            let mut monitor = Monitor::new(&check(3, 5_000));
            let mut left = false;
            for (second, code) in codes.into_iter().enumerate() {
                let status = monitor.take(probe(code), seconds(second as u64)).status;
                prop_assert!(!(left && status == HealthStatus::Starting));
                left |= status != HealthStatus::Starting;
            }
        }
    }
}

//! Health checks: what the agent is to run, and how clients see what came of it.

use std::time::Duration;

use bollard_stubs::models::{self, HealthStatusEnum, HealthcheckResult};
use jiff::Timestamp;
use sockerless_ports::link::request::{Health, HealthCheck, HealthStatus};

use super::spec::Spec;
use crate::tuning;

/// What is to be run; none without a health check, or with one that is switched off or of an unknown kind.
pub(crate) fn check(spec: &Spec) -> Option<HealthCheck> {
    let config = spec.config.healthcheck.as_ref()?;
    let (kind, words) = config.test.as_deref()?.split_first()?;
    let argv: Vec<String> = match kind.as_str() {
        "CMD" => words.to_vec(),
        "CMD-SHELL" => {
            let shell = spec.config.shell.clone().filter(|shell| !shell.is_empty());
            let shell = shell.unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
            shell.into_iter().chain(words.iter().cloned()).collect()
        }
        _ => return None,
    };
    let milliseconds = |nanoseconds: Option<i64>, default: Duration| {
        let own = nanoseconds.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0);
        let duration = own.map_or(default, Duration::from_nanos);
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
    };
    let retries = config.retries.and_then(|retries| u32::try_from(retries).ok()).filter(|value| *value > 0);
    (!argv.is_empty()).then(|| HealthCheck {
        argv,
        interval: milliseconds(config.interval, tuning::HEALTH_INTERVAL),
        timeout: milliseconds(config.timeout, tuning::HEALTH_TIMEOUT),
        retries: retries.unwrap_or(tuning::HEALTH_RETRIES),
        start_period: milliseconds(config.start_period, Duration::ZERO),
        start_interval: milliseconds(config.start_interval, tuning::HEALTH_START_INTERVAL),
    })
}

/// Docker's word.
pub(crate) fn word(status: HealthStatus) -> &'static str {
    match status {
        HealthStatus::Starting => "starting",
        HealthStatus::Healthy => "healthy",
        HealthStatus::Unhealthy => "unhealthy",
    }
}

/// `State.Health`
pub(super) fn model(health: &Health) -> models::Health {
    let time = |ms: u64| {
        let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        time.map(|time| time.to_string())
    };
    models::Health {
        status: Some(match health.status {
            HealthStatus::Starting => HealthStatusEnum::STARTING,
            HealthStatus::Healthy => HealthStatusEnum::HEALTHY,
            HealthStatus::Unhealthy => HealthStatusEnum::UNHEALTHY,
        }),
        failing_streak: Some(health.failing_streak.into()),
        log: Some(
            health
                .log
                .iter()
                .map(|probe| HealthcheckResult {
                    start: time(probe.start),
                    end: time(probe.end),
                    exit_code: Some(probe.code.into()),
                    output: Some(probe.output.clone()),
                })
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use bollard_stubs::models::HealthConfig;

    use super::*;

    fn of(test: &[&str], change: impl FnOnce(&mut HealthConfig)) -> Option<HealthCheck> {
        let words = test.iter().map(|word| (*word).to_owned()).collect();
        let mut config = HealthConfig { test: Some(words), ..HealthConfig::default() };
        change(&mut config);
        let mut spec = Spec::default();
        spec.config.healthcheck = Some(config);
        check(&spec)
    }

    #[test]
    fn what_is_not_said_is_dockerds() {
        let check = of(&["CMD-SHELL", "test -f /ready"], |_| {}).unwrap();
        assert_eq!(check.argv, ["/bin/sh", "-c", "test -f /ready"]);
        let times = [check.interval, check.timeout, check.start_period, check.start_interval];
        assert_eq!((times, check.retries), ([30_000, 30_000, 0, 5_000], 3));
        let check = of(&["CMD", "curl", "-f"], |config| {
            (config.interval, config.retries) = (Some(1_500_000_000), Some(7));
        });
        let check = check.unwrap();
        assert_eq!((check.argv.len(), check.interval, check.retries), (2, 1_500, 7));
    }

    #[test]
    fn a_check_that_is_off_or_unknown_is_none() {
        for test in [&["NONE"][..], &[], &["CMD"], &["HTTP", "x"]] {
            assert_eq!(of(test, |_| {}), None, "{test:?}");
        }
    }
}

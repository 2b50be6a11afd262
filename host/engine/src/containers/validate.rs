//! What a container's configuration must look like, in dockerd's words.

use std::time::Duration;

use bollard_stubs::models::{
    ContainerConfig, HostConfig, MountTypeEnum, RestartPolicy, RestartPolicyNameEnum,
};

use sockerless_ports::link::Rung;

use super::{ports, service, signals, words};
use crate::{Error, ErrorKind, Result, times, tuning};

/// Seconds that the container may run, or a duration as `90m` or `2h`; `0` for the longest
/// that its backend permits. Overrides the daemon's setting.
pub const LABEL_TIMEOUT: &str = "sockerless.timeout";

/// How long the agent of the container stays after its end: seconds, or a duration as `90s` or `1h30m`. Overrides the
/// daemon's setting; with `0` it goes as soon as what the container has changed is saved.
pub const LABEL_LINGER: &str = "sockerless.linger";

/// How connections to other containers are caught: `seccomp`, `tun` or `loopback`; left out for the best way that there is.
pub const LABEL_MESH: &str = "sockerless.mesh";

fn invalid<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::new(ErrorKind::Invalid, message))
}

/// The part that is portable. Errors: 400.
pub(crate) fn config(config: &ContainerConfig) -> Result<()> {
    if let Some(dir) = config.working_dir.as_deref()
        && !dir.is_empty()
        && !dir.starts_with('/')
    {
        return invalid(format!("the working directory '{dir}' is invalid, it needs to be an absolute path"));
    }
    for entry in config.env.iter().flatten() {
        if entry.is_empty() || entry.starts_with('=') || entry.contains('\0') {
            return invalid(format!("invalid environment variable: {entry}"));
        }
    }
    if let Some(signal) = config.stop_signal.as_deref()
        && !signal.is_empty()
    {
        signals::parse(signal)?;
    }
    for port in config.exposed_ports.iter().flatten() {
        ports::parse(port)?;
    }
    if let Some(health) = &config.healthcheck {
        let negative = |value: Option<i64>| value.is_some_and(|value| value < 0);
        for (name, value) in [
            ("Interval", health.interval),
            ("Timeout", health.timeout),
            ("StartPeriod", health.start_period),
            ("StartInterval", health.start_interval),
        ] {
            if value.is_some_and(|value| value != 0 && value < 1_000_000) {
                return invalid(format!("{name} in Healthcheck cannot be less than 1ms"));
            }
        }
        if negative(health.retries) {
            return invalid("Retries in Healthcheck cannot be negative");
        }
    }
    timeout(config)?;
    linger(config)?;
    rung(config)?;
    service::asked(config)?;
    Ok(())
}

/// How the container's label wants connections to be caught. Errors: 400 for one that nobody knows.
pub(crate) fn rung(config: &ContainerConfig) -> Result<Option<Rung>> {
    let text = config.labels.as_ref().and_then(|labels| labels.get(LABEL_MESH)).map(String::as_str);
    match text {
        None => Ok(None),
        Some("seccomp") => Ok(Some(Rung::Seccomp)),
        Some("tun") => Ok(Some(Rung::Tun)),
        Some("loopback") => Ok(Some(Rung::Loopback)),
        Some(text) => invalid(format!("invalid label {LABEL_MESH}={text}: seccomp, tun or loopback")),
    }
}

/// How long the container's label wants its agent to stay. Errors: 400 for a label that cannot be read.
pub(crate) fn linger(config: &ContainerConfig) -> Result<Option<Duration>> {
    let Some(text) = config.labels.as_ref().and_then(|labels| labels.get(LABEL_LINGER)) else {
        return Ok(None);
    };
    match duration(text) {
        Some(linger) => Ok(Some(linger)),
        None => invalid(format!(
            "invalid label {LABEL_LINGER}={text}: seconds, or a duration as 90s, 10m or 1h30m"
        )),
    }
}

/// Seconds, or Go's notation of a duration (`90s`, `1h30m`); none for anything else.
pub fn duration(text: &str) -> Option<Duration> {
    let seconds = text.parse::<u64>().ok().map(Duration::from_secs);
    seconds.or_else(|| Duration::try_from(times::ago(text)?).ok())
}

/// The longest run that the container's label asks for. Errors: 400 for a label that cannot be read.
pub(crate) fn timeout(config: &ContainerConfig) -> Result<Option<Duration>> {
    let Some(text) = config.labels.as_ref().and_then(|labels| labels.get(LABEL_TIMEOUT)) else {
        return Ok(None);
    };
    let (number, unit) = match text.find(|character: char| !character.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text.as_str(), "s"),
    };
    let factor = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        _ => None,
    };
    match factor.zip(number.parse::<u64>().ok()).and_then(|(factor, number)| number.checked_mul(factor)) {
        Some(seconds) => Ok(Some(Duration::from_secs(seconds))),
        None => {
            invalid(format!("invalid label {LABEL_TIMEOUT}={text}: seconds, or a number with s, m, h or d"))
        }
    }
}

/// What may change after the creation. Errors: 400.
pub(crate) fn update(changes: &HostConfig) -> Result<()> {
    resources(changes, true)?;
    words::check(changes)?;
    changes.restart_policy.as_ref().map_or(Ok(()), restart_policy)
}

/// The part about the host. Errors: 400.
pub(crate) fn host(host: &HostConfig) -> Result<()> {
    resources(host, false)?;
    words::check(host)?;
    for (port, bindings) in host.port_bindings.iter().flatten() {
        ports::parse_one(port)?;
        for binding in bindings.iter().flatten() {
            ports::host_port(binding.host_port.as_deref().unwrap_or_default())?;
            let address = binding.host_ip.as_deref().unwrap_or_default();
            if !address.is_empty() && address.parse::<std::net::IpAddr>().is_err() {
                return invalid(format!("invalid host IP address: {address}"));
            }
        }
    }
    if let Some(policy) = &host.restart_policy {
        restart_policy(policy)?;
        let active =
            !matches!(policy.name, None | Some(RestartPolicyNameEnum::EMPTY | RestartPolicyNameEnum::NO));
        if active && host.auto_remove == Some(true) {
            return invalid("can't create 'AutoRemove' container with restart policy");
        }
    }
    for path in host.tmpfs.iter().flatten().map(|(path, _)| path) {
        absolute(path)?;
    }
    for mount in host.mounts.iter().flatten() {
        let target = mount.target.as_deref().unwrap_or_default();
        if target.is_empty() {
            return invalid("invalid mount config for type: field Target must not be empty");
        }
        if mount.typ == Some(MountTypeEnum::TMPFS) {
            absolute(target)?;
        }
    }
    Ok(())
}

fn restart_policy(policy: &RestartPolicy) -> Result<()> {
    let retries = policy.maximum_retry_count.unwrap_or(0);
    match policy.name {
        // Clients of old leave the name out, and any number passes.
        None | Some(RestartPolicyNameEnum::EMPTY) => Ok(()),
        Some(RestartPolicyNameEnum::ON_FAILURE) if retries < 0 => {
            invalid("invalid restart policy: maximum retry count cannot be negative")
        }
        Some(RestartPolicyNameEnum::ON_FAILURE) => Ok(()),
        Some(_) if retries != 0 => {
            let negative = if retries < 0 { " and cannot be negative" } else { "" };
            invalid(format!(
                "invalid restart policy: maximum retry count can only be used with 'on-failure'{negative}"
            ))
        }
        Some(_) => Ok(()),
    }
}

fn absolute(path: &str) -> Result<()> {
    if path.starts_with('/') && path != "/" {
        return Ok(());
    }
    invalid(format!("invalid mount path: '{path}' mount path must be absolute"))
}

/// `update`: what is not there stays as it is.
fn resources(host: &HostConfig, update: bool) -> Result<()> {
    let value = |value: Option<i64>| value.unwrap_or(0);
    let (memory, swap) = (value(host.memory), value(host.memory_swap));
    if memory != 0 && memory < tuning::MIN_MEMORY {
        return invalid("Minimum memory limit allowed is 6MB");
    }
    if memory > 0 && swap > 0 && swap < memory {
        return invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if memory == 0 && swap > 0 && !update {
        return invalid("You should always set the Memory limit when using Memoryswap limit, see usage");
    }
    let reservation = value(host.memory_reservation);
    if reservation < 0 || (reservation > 0 && reservation < tuning::MIN_MEMORY) {
        return invalid("Minimum memory reservation allowed is 6MB");
    }
    if memory > 0 && reservation > memory {
        return invalid("Minimum memory limit can not be less than memory reservation limit, see usage");
    }
    let (nano, period, quota) = (value(host.nano_cpus), value(host.cpu_period), value(host.cpu_quota));
    if nano < 0 {
        return invalid("range of CPUs is from 0.01 upwards: NanoCpus cannot be negative");
    }
    if nano > 0 && period > 0 {
        return invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set");
    }
    if nano > 0 && quota > 0 {
        return invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
    }
    if period != 0 && !(1000..=1_000_000).contains(&period) {
        return invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        );
    }
    if quota > 0 && quota < 1000 {
        return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    if value(host.cpu_shares) < 0 {
        return invalid(format!("The CPU shares value {} cannot be negative", value(host.cpu_shares)));
    }
    if value(host.shm_size) < 0 {
        return invalid("SHM size can not be less than 0");
    }
    let score = value(host.oom_score_adj);
    if !(-1000..=1000).contains(&score) {
        return invalid(format!("Invalid value {score}, range for oom score adj is [-1000, 1000]"));
    }
    let swappiness = host.memory_swappiness.unwrap_or(-1);
    if !(-1..=100).contains(&swappiness) {
        return invalid(format!("Invalid value: {swappiness}, valid memory swappiness range is 0-100"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn labelled(timeout: &str) -> ContainerConfig {
        ContainerConfig {
            labels: Some(HashMap::from([(LABEL_TIMEOUT.to_owned(), timeout.to_owned())])),
            ..ContainerConfig::default()
        }
    }

    #[test]
    fn the_timeout_label_takes_seconds_and_units() {
        assert_eq!(timeout(&labelled("90m")), Ok(Some(Duration::from_secs(5400))));
        assert_eq!(timeout(&labelled("15")), Ok(Some(Duration::from_secs(15))));
        for bad in ["", "h", "1w", "-1", "99999999999999999999d"] {
            assert!(timeout(&labelled(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_linger_label_takes_seconds_and_durations() {
        let labelled = |text: &str| ContainerConfig {
            labels: Some(HashMap::from([(LABEL_LINGER.to_owned(), text.to_owned())])),
            ..ContainerConfig::default()
        };
        for (text, seconds) in [("0", 0), ("90", 90), ("10m", 600), ("1h30m", 5400), ("0s", 0)] {
            assert_eq!(linger(&labelled(text)), Ok(Some(Duration::from_secs(seconds))), "{text}");
        }
        assert_eq!(linger(&ContainerConfig::default()), Ok(None));
        for bad in ["", "soon", "-1", "-10m", "10 m", "1w"] {
            assert!(config(&labelled(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn restart_policies_are_checked_in_dockerds_words() {
        let with = |name, retries| {
            let policy = RestartPolicy { name: Some(name), maximum_retry_count: Some(retries) };
            host(&HostConfig { restart_policy: Some(policy), ..HostConfig::default() })
                .map_err(|error| error.message)
        };
        use RestartPolicyNameEnum as Name;
        let only = "invalid restart policy: maximum retry count can only be used with 'on-failure'";
        assert_eq!(with(Name::ALWAYS, 3), Err(only.to_owned()));
        assert_eq!(with(Name::NO, -1), Err(format!("{only} and cannot be negative")));
        let negative = "invalid restart policy: maximum retry count cannot be negative";
        assert_eq!(with(Name::ON_FAILURE, -1), Err(negative.to_owned()));
        assert_eq!(with(Name::ON_FAILURE, 3), Ok(()));
        assert_eq!(with(Name::EMPTY, 3), Ok(()));
    }

    #[test]
    fn memory_below_six_megabytes_is_refused_also_when_negative() {
        for memory in [1, 4 << 20, -5] {
            let result = host(&HostConfig { memory: Some(memory), ..HostConfig::default() });
            assert_eq!(result.unwrap_err().message, "Minimum memory limit allowed is 6MB");
        }
        assert!(host(&HostConfig { memory: Some(6 << 20), ..HostConfig::default() }).is_ok());
    }

    #[test]
    fn malformed_settings_are_refused() {
        let with = |config: ContainerConfig| super::config(&config).unwrap_err().message;
        let env = ContainerConfig { env: Some(vec!["=x".into()]), ..ContainerConfig::default() };
        assert_eq!(with(env), "invalid environment variable: =x");
        let signal = ContainerConfig { stop_signal: Some("FOO".into()), ..ContainerConfig::default() };
        assert_eq!(with(signal), "invalid signal: FOO");
        let dir = ContainerConfig { working_dir: Some("a".into()), ..ContainerConfig::default() };
        assert!(with(dir).contains("needs to be an absolute path"));
        let port =
            ContainerConfig { exposed_ports: Some(vec!["x/tcp".into()]), ..ContainerConfig::default() };
        assert!(with(port).contains("invalid"));
    }
}

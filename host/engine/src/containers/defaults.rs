//! What dockerd fills in where a client says nothing, so that `inspect` shows what it shows there.

use std::collections::HashMap;

use bollard_stubs::models::{
    ContainerConfig, HostConfig, HostConfigCgroupnsModeEnum, HostConfigIsolationEnum, HostConfigLogConfig,
    RestartPolicy, RestartPolicyNameEnum,
};

use crate::{EngineOptions, tuning};

const MASKED: [&str; 11] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

pub(crate) fn host(mut host: HostConfig, options: &EngineOptions, backend: &str) -> HostConfig {
    fn or(value: &mut Option<String>, default: &str) {
        if value.as_deref().unwrap_or_default().is_empty() {
            *value = Some(default.to_owned());
        }
    }
    let privileged = *host.privileged.get_or_insert(false);
    if host.network_mode.as_deref() == Some("default") {
        host.network_mode = None;
    }
    or(&mut host.network_mode, "bridge");
    or(&mut host.ipc_mode, "private");
    or(&mut host.runtime, backend);
    for text in [
        &mut host.container_id_file,
        &mut host.volume_driver,
        &mut host.cgroup,
        &mut host.pid_mode,
        &mut host.uts_mode,
        &mut host.userns_mode,
        &mut host.cgroup_parent,
        &mut host.cpuset_cpus,
        &mut host.cpuset_mems,
    ] {
        text.get_or_insert_default();
    }
    for number in [
        &mut host.cpu_shares,
        &mut host.memory,
        &mut host.nano_cpus,
        &mut host.cpu_period,
        &mut host.cpu_quota,
        &mut host.cpu_realtime_period,
        &mut host.cpu_realtime_runtime,
        &mut host.memory_reservation,
        &mut host.oom_score_adj,
        &mut host.cpu_count,
        &mut host.cpu_percent,
        &mut host.io_maximum_iops,
        &mut host.io_maximum_bandwidth,
    ] {
        number.get_or_insert_default();
    }
    // As dockerd: twice the memory, memory and swap together.
    let memory = host.memory.unwrap_or(0);
    if host.memory_swap.unwrap_or(0) == 0 {
        host.memory_swap = Some(memory.saturating_mul(2));
    }
    host.memory_swappiness = host.memory_swappiness.filter(|value| *value != -1);
    host.pids_limit = host.pids_limit.filter(|value| *value > 0);
    for binding in host.port_bindings.iter_mut().flat_map(|all| all.values_mut()).flatten().flatten() {
        binding.host_ip.get_or_insert_default();
        binding.host_port.get_or_insert_default();
    }
    host.mounts = host.mounts.filter(|mounts| !mounts.is_empty());
    host.oom_kill_disable.get_or_insert_default();
    host.blkio_weight.get_or_insert_default();
    for flag in [&mut host.auto_remove, &mut host.publish_all_ports, &mut host.readonly_rootfs] {
        flag.get_or_insert_default();
    }
    host.console_size.get_or_insert_with(|| vec![0, 0]);
    host.isolation.get_or_insert(HostConfigIsolationEnum::EMPTY);
    if host.shm_size.unwrap_or(0) == 0 {
        host.shm_size = Some(tuning::SHM_SIZE);
    }
    if matches!(host.cgroupns_mode, None | Some(HostConfigCgroupnsModeEnum::EMPTY)) {
        host.cgroupns_mode = Some(if privileged {
            HostConfigCgroupnsModeEnum::HOST
        } else {
            HostConfigCgroupnsModeEnum::PRIVATE
        });
    }
    let policy = host.restart_policy.get_or_insert(RestartPolicy { name: None, maximum_retry_count: None });
    if matches!(policy.name, None | Some(RestartPolicyNameEnum::EMPTY)) {
        policy.name = Some(RestartPolicyNameEnum::NO);
    }
    policy.maximum_retry_count.get_or_insert(0);
    let log = host.log_config.get_or_insert(HostConfigLogConfig { typ: None, config: None });
    or(&mut log.typ, &options.log_driver);
    log.config.get_or_insert_with(HashMap::new);
    if !privileged {
        let paths = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        host.masked_paths.get_or_insert_with(|| paths(&MASKED));
        host.readonly_paths.get_or_insert_with(|| paths(&READ_ONLY));
    }
    host
}

/// `hostname` is the short id when the user named none.
pub(crate) fn config(mut config: ContainerConfig, short_id: &str) -> ContainerConfig {
    if config.hostname.as_deref().unwrap_or_default().is_empty() {
        config.hostname = Some(short_id.to_owned());
    }
    config.domainname.get_or_insert_default();
    config.user.get_or_insert_default();
    config.working_dir.get_or_insert_default();
    for flag in [
        &mut config.attach_stdin,
        &mut config.attach_stdout,
        &mut config.attach_stderr,
        &mut config.tty,
        &mut config.open_stdin,
        &mut config.stdin_once,
    ] {
        flag.get_or_insert_default();
    }
    if let Some(dir) = config.working_dir.as_mut().filter(|dir| !dir.is_empty()) {
        *dir = clean(dir);
    }
    config.network_disabled = config.network_disabled.filter(|disabled| *disabled);
    config.stop_signal = config.stop_signal.filter(|signal| !signal.is_empty());
    config.labels.get_or_insert_default();
    config.env.get_or_insert_default();
    config
}

/// An absolute path without `.`, `..` and doubled or closing slashes, as Go's `path.Clean` gives it.
pub(crate) fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_working_directory_is_cleaned_as_dockerd_cleans_it() {
        for (given, kept) in
            [("/x/", "/x"), ("/x/../y", "/y"), ("/", "/"), ("/../..", "/"), ("//a/./b", "/a/b")]
        {
            let working_dir = Some(given.to_owned());
            let config =
                config(ContainerConfig { working_dir, ..ContainerConfig::default() }, "0123456789ab");
            assert_eq!(config.working_dir.as_deref(), Some(kept), "{given}");
        }
        let config = config(ContainerConfig::default(), "0123456789ab");
        assert_eq!(config.working_dir.as_deref(), Some(""));
    }

    #[test]
    fn what_a_client_left_out_stays_out() {
        let options = crate::EngineOptions::default();
        let host = host(HostConfig::default(), &options, "cloud");
        assert!(host.dns.is_none() && host.devices.is_none() && host.port_bindings.is_none());
        let privileged = HostConfig { privileged: Some(true), ..HostConfig::default() };
        let host = super::host(privileged, &options, "cloud");
        assert!(host.masked_paths.is_none() && host.readonly_paths.is_none());
    }

    proptest! {
        #[test]
        fn cleaning_twice_is_cleaning_once(path in "/[a-c./]{0,20}") {
            let once = clean(&path);
            prop_assert_eq!(clean(&once), once.clone());
            prop_assert!(once.starts_with('/') && !once.contains("//"));
        }
    }
}

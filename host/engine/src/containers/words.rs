//! Settings of the host configuration that are words of a small language, in dockerd's words for what is wrong with them.
//!
//! They are checked although a cloud may not offer what they ask for: a typing error is not a warning.

use bollard_stubs::models::HostConfig;

use crate::{Error, ErrorKind, Result};

/// Capabilities of Linux, without `CAP_`.
const CAPABILITIES: [&str; 42] = [
    "ALL",
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

/// Errors: 400.
pub(super) fn check(host: &HostConfig) -> Result<()> {
    let ranges = [("cpus", &host.cpuset_cpus), ("mems", &host.cpuset_mems)];
    for (name, value) in ranges {
        let value = value.as_deref().unwrap_or_default();
        if !value.split(',').all(|range| range.is_empty() || is_range(range)) {
            return invalid(format!("invalid value {value} for cpuset {name}: invalid format: {value}"));
        }
    }
    for (field, names) in [("CapAdd", &host.cap_add), ("CapDrop", &host.cap_drop)] {
        for name in names.iter().flatten() {
            let upper = name.to_uppercase();
            let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
            if !CAPABILITIES.contains(&bare) {
                return invalid(format!("invalid {field}: unknown capability: \"CAP_{bare}\""));
            }
        }
    }
    for entry in host.extra_hosts.iter().flatten() {
        match entry.split_once([':', '=']) {
            Some((name, address)) if !name.is_empty() => {
                let bare = address.trim_start_matches('[').trim_end_matches(']');
                if address != "host-gateway" && bare.parse::<std::net::IpAddr>().is_err() {
                    return invalid(format!("invalid IP address in add-host: \"{address}\""));
                }
            }
            _ => return invalid(format!("bad format for add-host: \"{entry}\"")),
        }
    }
    Ok(())
}

/// `3` or `0-3`.
fn is_range(text: &str) -> bool {
    let mut ends = text.splitn(2, '-').map(|end| end.trim().parse::<u16>().ok());
    match (ends.next().flatten(), ends.next()) {
        (Some(_), None) => true,
        (Some(first), Some(Some(last))) => first <= last,
        _ => false,
    }
}

fn invalid<T>(message: String) -> Result<T> {
    Err(Error::new(ErrorKind::Invalid, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dockerd_takes_is_taken() {
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let host = HostConfig {
            cap_add: words(&["NET_ADMIN", "cap_sys_time", "ALL"]),
            cap_drop: words(&["CAP_CHOWN"]),
            extra_hosts: words(&["a:1.1.1.1", "b:::1", "c=10.0.0.1", "d:host-gateway", "e:[::1]"]),
            cpuset_cpus: Some("0-1,3".into()),
            cpuset_mems: Some(String::new()),
            ..HostConfig::default()
        };
        assert_eq!(check(&host), Ok(()));
    }

    #[test]
    fn typing_errors_are_refused_in_dockerds_words() {
        let with = |change: &dyn Fn(&mut HostConfig)| {
            let mut host = HostConfig::default();
            change(&mut host);
            check(&host).unwrap_err().message
        };
        let words = |word: &str| Some(vec![word.to_owned()]);
        assert_eq!(
            with(&|host| host.cap_add = words("bogus")),
            "invalid CapAdd: unknown capability: \"CAP_BOGUS\""
        );
        assert_eq!(
            with(&|host| host.cap_drop = words("x")),
            "invalid CapDrop: unknown capability: \"CAP_X\""
        );
        assert_eq!(with(&|host| host.extra_hosts = words("a")), "bad format for add-host: \"a\"");
        assert_eq!(with(&|host| host.extra_hosts = words("a:x")), "invalid IP address in add-host: \"x\"");
        assert_eq!(
            with(&|host| host.cpuset_cpus = Some("x".into())),
            "invalid value x for cpuset cpus: invalid format: x"
        );
    }
}

//! What the cloud's job gave the agent: the environment.

use std::{env, path::PathBuf, time::Duration};

use nix::unistd::getpid;
use sockerless_agent_wire::{
    Key,
    environment::{CALLBACK_FINGERPRINT, CALLBACK_URL, POD, RUN, TICKET},
};

use crate::tuning;

/// The agent's settings. Nothing of the agent's environment reaches the process.
pub struct Settings {
    /// `SOCKERLESS_CALLBACK_URL`: `ws://` or `wss://`.
    pub url: String,
    /// `SOCKERLESS_CALLBACK_FINGERPRINT`: SHA-256 of the daemon's certificate; none for the public authorities.
    pub fingerprint: Option<[u8; 32]>,
    /// `SOCKERLESS_RUN`: `<container id>.<generation>`.
    pub run: String,
    /// `SOCKERLESS_TICKET`: 64 hexadecimal digits.
    pub ticket: Key,
    /// `SOCKERLESS_AGENT_BUFFER`: bytes of output kept while the line is down.
    pub buffer: usize,
    /// `SOCKERLESS_AGENT_LINGER`: seconds to wait for the daemon after the end.
    pub linger: Duration,
    /// `SOCKERLESS_POD`: `<job>/<index>/<count>`; none where the job has no other containers.
    pub pod: Option<Pod>,
    /// `SOCKERLESS_AGENT_ETC`: the folder of `hosts` and `resolv.conf`, which the agent writes; `/etc` where it is the first
    /// process, and none where it is not: there they may be others', too.
    pub etc: Option<PathBuf>,
}

/// Which of a job's containers this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// The job's name.
    pub job: String,
    /// From 0.
    pub index: usize,
    /// Of all.
    pub count: usize,
}

impl Settings {
    /// Reads the environment; an error names the variable.
    pub fn from_environment() -> Result<Self, String> {
        Self::from(|name| env::var(name).ok())
    }

    fn from(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let need = |name: &str| {
            get(name)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| format!("{name} is missing: the agent is started by Sockerless only"))
        };
        let number = |name: &str, default: u64| match get(name) {
            Some(value) => value.parse().map_err(|_| format!("{name} is not a number: {value}")),
            None => Ok(default),
        };
        let buffer = number("SOCKERLESS_AGENT_BUFFER", tuning::DISCONNECTED as u64)?;
        Ok(Self {
            url: need(CALLBACK_URL)?,
            fingerprint: get(CALLBACK_FINGERPRINT)
                .filter(|value| !value.is_empty())
                .map(|value| fingerprint(&value))
                .transpose()?,
            run: need(RUN)?,
            ticket: Key::from_hex(&need(TICKET)?)
                .ok_or_else(|| format!("{TICKET} is not 64 hexadecimal digits"))?,
            buffer: usize::try_from(buffer).unwrap_or(usize::MAX).max(tuning::BUFFER_LEAST),
            linger: Duration::from_secs(number("SOCKERLESS_AGENT_LINGER", tuning::LINGER.as_secs())?),
            pod: get(POD)
                .map(|value| {
                    pod(&value).ok_or_else(|| format!("{POD} is not <job>/<index>/<count>: {value}"))
                })
                .transpose()?,
            etc: get("SOCKERLESS_AGENT_ETC")
                .map(PathBuf::from)
                .or_else(|| (getpid().as_raw() == 1).then(|| "/etc".into())),
        })
    }
}

fn pod(value: &str) -> Option<Pod> {
    let mut parts = value.split('/');
    let (job, index, count) =
        (parts.next()?.to_owned(), parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (!job.is_empty() && index < count && parts.next().is_none()).then_some(Pod { job, index, count })
}

fn fingerprint(value: &str) -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(value.replace(':', ""), &mut bytes)
        .map_err(|_| format!("{CALLBACK_FINGERPRINT} is not a SHA-256 in hexadecimal digits"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(more: &[(&str, &str)]) -> Result<Settings, String> {
        let ticket = "ab".repeat(32);
        let mut all = vec![
            ("SOCKERLESS_CALLBACK_URL", "ws://h"),
            ("SOCKERLESS_RUN", "c.1"),
            ("SOCKERLESS_TICKET", &ticket),
        ];
        all.extend(more);
        Settings::from(|name| {
            all.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        assert_eq!(with(&[]).unwrap().buffer, tuning::DISCONNECTED);
        for (name, value) in [
            ("SOCKERLESS_CALLBACK_URL", ""),
            ("SOCKERLESS_TICKET", "abc"),
            ("SOCKERLESS_AGENT_BUFFER", "much"),
            ("SOCKERLESS_AGENT_LINGER", "-1"),
            ("SOCKERLESS_POD", "job/2/2"),
            ("SOCKERLESS_CALLBACK_FINGERPRINT", "ab:cd"),
        ] {
            assert!(with(&[(name, value)]).err().unwrap().contains(name), "{name}");
        }
    }

    #[test]
    fn a_containers_place_in_its_job_is_read() {
        let expected = Pod { job: "sl-a-1".to_owned(), index: 1, count: 3 };
        assert_eq!(with(&[("SOCKERLESS_POD", "sl-a-1/1/3")]).unwrap().pod, Some(expected));
        assert_eq!(with(&[]).unwrap().pod, None);
        assert_eq!(pod("/0/1"), None);
        assert_eq!(pod("job/0/1/"), None);
    }

    #[test]
    fn a_fingerprint_may_be_written_with_colons() {
        let colons = ["Ab"; 32].join(":");
        assert_eq!(
            with(&[("SOCKERLESS_CALLBACK_FINGERPRINT", &colons)]).unwrap().fingerprint,
            Some([0xab; 32])
        );
    }
}

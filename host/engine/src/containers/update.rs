//! `docker update`: what may change of a container after it was created.

use std::sync::Arc;

use bollard_stubs::models::{ContainerUpdateResponse, HostConfig, RestartPolicyNameEnum};

use super::{
    spec::{ContainerRecord, Spec},
    table::{Entry, View},
    validate,
};
use crate::{
    Engine, Error, ErrorKind, Result,
    life::{Event, Phase},
    supervisor::Rejection,
};

impl Engine {
    /// `POST /containers/{id}/update`: the restart policy changes at once, resources with the next job, which is said in
    /// the answer. What is absent or 0 stays as it is.
    ///
    /// Errors: 400 for values that cannot be, 404, 409 for those that contradict what is set.
    pub async fn update(&self, reference: &str, changes: HostConfig) -> Result<ContainerUpdateResponse> {
        validate::update(&changes)?;
        let entry = self.containers.find(reference)?;
        let engine = self.shared()?;
        // Boxed: the models are large.
        self.complete(Box::pin(async move { engine.update_now(&entry, changes).await })).await
    }

    async fn update_now(&self, entry: &Arc<Entry>, changes: HostConfig) -> Result<ContainerUpdateResponse> {
        let tried = format!("Cannot update container {}", entry.id());
        let gate = entry.gate.lock().await;
        let before = entry.view();
        if matches!(before.state.phase, Phase::Removing | Phase::Removed | Phase::Dead) {
            let message = r#"container is marked for removal and cannot be "update""#;
            return Err(Error::new(ErrorKind::Conflict, message).prefixed(&tried));
        }
        let host = changed(&before.spec.host, changes).map_err(|error| error.prefixed(&tried))?;
        let spec = Arc::new(Spec { host, ..(*before.spec).clone() });
        let mut warnings = self.check_size(&spec).map_err(|error| error.prefixed(&tried))?;
        let resized = sizes(&spec.host) != sizes(&before.spec.host);
        self.commit(vec![ContainerRecord::put(&spec, &before.name, &before.state)?]).await?;
        entry.publish(View { spec, ..(*before).clone() });
        drop(gate);
        if resized {
            if before.state.is_live() || before.state.linger.is_some() {
                warnings.push(
                    "memory and processors of a cloud's job cannot be changed: the new limits hold from the next start on, \
                     which takes place in a new job"
                        .into(),
                );
            }
            match self.apply(entry, Event::Resized).await {
                Ok(_) | Err(Rejection::Refused(_)) => {}
                Err(Rejection::Failed(error)) => return Err(error),
            }
        }
        self.events.container(entry, &before.name, "update", &[]);
        Ok(ContainerUpdateResponse { warnings: Some(warnings) })
    }
}

/// What a job is made with.
fn sizes(host: &HostConfig) -> [Option<i64>; 4] {
    [host.memory, host.nano_cpus, host.cpu_period, host.cpu_quota]
}

/// The configuration with the changes in it. Errors: 409 in dockerd's words.
fn changed(host: &HostConfig, changes: HostConfig) -> Result<HostConfig> {
    let conflict = |message: &str| Err(Error::new(ErrorKind::Conflict, message));
    let positive = |value: Option<i64>| value.is_some_and(|value| value > 0);
    for (new, set, message) in [
        (
            changes.nano_cpus,
            host.cpu_period,
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
        ),
        (
            changes.nano_cpus,
            host.cpu_quota,
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
        ),
        (
            changes.cpu_period,
            host.nano_cpus,
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
        ),
        (
            changes.cpu_quota,
            host.nano_cpus,
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
        ),
    ] {
        if positive(new) && positive(set) {
            return conflict(message);
        }
    }
    let given = |value: Option<i64>| value.filter(|value| *value != 0);
    if let Some(memory) = given(changes.memory)
        && memory > host.memory_swap.unwrap_or(0)
        && host.memory_swap != Some(-1)
        && given(changes.memory_swap).is_none()
    {
        return conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        );
    }
    let mut host = host.clone();
    if let Some(policy) = changes.restart_policy
        && let Some(name) = policy.name.filter(|name| *name != RestartPolicyNameEnum::EMPTY)
    {
        if host.auto_remove == Some(true) && name != RestartPolicyNameEnum::NO {
            return conflict(
                "Restart policy cannot be updated because AutoRemove is enabled for the container",
            );
        }
        let maximum_retry_count = Some(policy.maximum_retry_count.unwrap_or(0));
        host.restart_policy =
            Some(bollard_stubs::models::RestartPolicy { name: Some(name), maximum_retry_count });
    }
    for (own, new) in [
        (&mut host.memory, changes.memory),
        (&mut host.memory_swap, changes.memory_swap),
        (&mut host.memory_reservation, changes.memory_reservation),
        (&mut host.nano_cpus, changes.nano_cpus),
        (&mut host.cpu_shares, changes.cpu_shares),
        (&mut host.cpu_period, changes.cpu_period),
        (&mut host.cpu_quota, changes.cpu_quota),
        (&mut host.cpu_realtime_period, changes.cpu_realtime_period),
        (&mut host.cpu_realtime_runtime, changes.cpu_realtime_runtime),
    ] {
        *own = given(new).or(*own);
    }
    if let Some(weight) = changes.blkio_weight.filter(|weight| *weight != 0) {
        host.blkio_weight = Some(weight);
    }
    for (own, new) in
        [(&mut host.cpuset_cpus, changes.cpuset_cpus), (&mut host.cpuset_mems, changes.cpuset_mems)]
    {
        if let Some(new) = new.filter(|new| !new.is_empty()) {
            *own = Some(new);
        }
    }
    if let Some(limit) = changes.pids_limit {
        // 0 and less mean no limit.
        host.pids_limit = Some(limit).filter(|limit| *limit > 0);
    }
    Ok(host)
}

#[cfg(test)]
mod tests {
    use bollard_stubs::models::RestartPolicy;

    use super::*;

    fn update(host: HostConfig, changes: HostConfig) -> std::result::Result<HostConfig, String> {
        changed(&host, changes).map_err(|error| error.message)
    }

    #[test]
    fn what_is_not_named_stays() {
        let host = HostConfig {
            memory: Some(64 << 20),
            memory_swap: Some(128 << 20),
            nano_cpus: Some(1),
            ..HostConfig::default()
        };
        let changes = HostConfig { memory: Some(96 << 20), nano_cpus: Some(0), ..HostConfig::default() };
        let expected = HostConfig { memory: Some(96 << 20), ..host.clone() };
        assert_eq!(update(host, changes), Ok(expected));
    }

    #[test]
    fn contradictions_are_told_in_dockerds_words() {
        let memory = HostConfig { memory: Some(64 << 20), ..HostConfig::default() };
        assert!(
            update(HostConfig::default(), memory).unwrap_err().starts_with("Memory limit should be smaller")
        );
        let always = RestartPolicy { name: Some(RestartPolicyNameEnum::ALWAYS), maximum_retry_count: None };
        let removing = HostConfig { auto_remove: Some(true), ..HostConfig::default() };
        let changes = HostConfig { restart_policy: Some(always.clone()), ..HostConfig::default() };
        assert_eq!(
            update(removing, changes.clone()),
            Err("Restart policy cannot be updated because AutoRemove is enabled for the container".into())
        );
        let host = update(HostConfig::default(), changes).unwrap();
        assert_eq!(host.restart_policy.and_then(|policy| policy.name), always.name);
        let quota = HostConfig { cpu_quota: Some(5000), ..HostConfig::default() };
        let cpus = HostConfig { nano_cpus: Some(1), ..HostConfig::default() };
        assert!(update(quota, cpus).unwrap_err().contains("CPU Quota has already been set"));
    }
}

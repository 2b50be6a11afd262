//! Everything that is decided before a cloud hears of a job.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use sockerless_ports::{
    backend::{JobContainer, JobSpec, JobVolume, Labels, Limits, Manifest, MountPoint, Size, WorkloadKind},
    link::{RunId, environment},
};

use super::{AGENT, Cloud, Delivery, Intent};
use crate::{
    Engine, Error, ErrorKind, Result,
    containers::{Entry, Spec, View, is_service, launch_env, memory_volumes, service_ports},
    tuning,
};

/// A container as one of a job.
pub(crate) struct Member {
    pub container: JobContainer,
    /// What it mounts, by names of its own.
    pub volumes: Vec<JobVolume>,
    /// None without an agent.
    pub ticket: Option<[u8; 32]>,
}

impl Engine {
    /// Has image and agent where the cloud finds them, and writes the job's spec.
    pub(super) async fn prepare(&self, entry: &Entry, run: &RunId) -> Result<Intent> {
        let view = entry.view();
        let spec = &view.spec;
        let callback = self.link.callback_url().filter(|_| view.state.agent);
        let agent = async {
            match &callback {
                Some(_) => self.delivery(&spec.backend).await.map(Some),
                None => Ok(None),
            }
        };
        let (member, agent) = tokio::try_join!(self.member(&view, run, callback.clone()), agent)?;
        let Member { mut container, volumes, ticket } = member;
        let job = job_name(&self.owner, run);
        let own = self.job(spec.timeout, self.cloud(&spec.backend)?);
        let service = is_service(spec);
        if service {
            container.ports = service_ports(spec);
        }
        let mut job_spec = JobSpec {
            name: job.clone(),
            labels: labels(spec, &view.name),
            containers: vec![container],
            volumes,
            kind: if service { WorkloadKind::Service } else { own.kind },
            // One that runs until it is stopped is nobody's to delete before that.
            expires: own.expires.filter(|_| !service),
            ..own
        };
        if let Some(agent) = agent {
            agent.bring(&mut job_spec);
        }
        Ok(Intent {
            job,
            run: run.clone(),
            backend: spec.backend.clone(),
            spec: Some(job_spec),
            ticket: ticket.map(|ticket| Sha256::digest(ticket).into()),
            secret: None,
            handle: None,
            seats: Vec::new(),
            closed: false,
        })
    }

    /// Has the agent where the jobs of a backend get it.
    pub(crate) async fn delivery(&self, backend: &str) -> Result<Delivery> {
        let cloud = self.cloud(backend)?;
        Ok(cloud.deliver(self.registry.as_ref(), &self.agent, &self.owner).await?)
    }

    /// Has a container's image where the cloud finds it. What it runs is the agent, which has yet to be brought there; without
    /// an address to call back it runs its own command.
    pub(crate) async fn member(&self, view: &View, run: &RunId, callback: Option<String>) -> Result<Member> {
        let spec = &view.spec;
        self.check_sockets(&spec.mounts)?;
        let cloud = self.cloud(&spec.backend)?;
        let image = cloud.provide(self.registry.as_ref(), &spec.image_id).await?;
        let ticket = callback.as_ref().map(|_| rand::random::<[u8; 32]>());
        let mut container = self.container(spec, cloud, image);
        let mut volumes = Vec::new();
        self.mount_volumes(spec, &mut container, &mut volumes).await?;
        match (callback, &ticket) {
            (Some(callback), Some(ticket)) => {
                container.command = vec![AGENT.into()];
                container.working_dir = Some("/".into());
                container.env = vec![
                    (environment::CALLBACK_URL.into(), callback),
                    (environment::RUN.into(), run.to_string()),
                    (environment::TICKET.into(), hex::encode(ticket)),
                ];
                if let Some(fingerprint) = &self.options.callback_fingerprint {
                    container.env.push((environment::CALLBACK_FINGERPRINT.into(), fingerprint.clone()));
                }
            }
            _ => {
                container.command = vec![spec.path.clone()];
                container.args.clone_from(&spec.args);
                container.working_dir = spec.config.working_dir.clone().filter(|dir| !dir.is_empty());
                let env = launch_env(spec);
                container.env = env.iter().filter_map(|entry| entry.split_once('=')).map(owned).collect();
            }
        }
        let features = cloud.manifest().features;
        for (index, (path, size)) in memory_volumes(spec).into_iter().enumerate() {
            let Some(source) = features.empty_volume(size) else { break };
            let volume = format!("tmpfs-{index}");
            container.mounts.push(MountPoint {
                volume: volume.clone(),
                path,
                sub_path: None,
                read_only: false,
            });
            volumes.push(JobVolume { name: volume, source });
        }
        Ok(Member { container, volumes, ticket })
    }

    fn container(&self, spec: &Spec, cloud: &Cloud, image: String) -> JobContainer {
        let limits = cloud.manifest().limits;
        let memory = spec.host.memory.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0);
        JobContainer {
            name: "main".into(),
            image,
            cpu_millis: cpu_millis(spec).map(|millis| millis.clamp(limits.cpu_millis.0, limits.cpu_millis.1)),
            memory_bytes: memory.map(|bytes| fit_memory(bytes, crate::tuning::AGENT_MEMORY, &limits)),
            ..JobContainer::default()
        }
    }

    /// A job of this daemon's that may run for so many seconds, without a name and without containers.
    pub(crate) fn job(&self, timeout: Option<u64>, cloud: &Cloud) -> JobSpec {
        let longest = timeout.unwrap_or(cloud.manifest().limits.max_timeout_seconds);
        JobSpec {
            name: String::new(),
            owner: self.owner.clone(),
            kind: WorkloadKind::RunToCompletion,
            init: Vec::new(),
            containers: Vec::new(),
            volumes: Vec::new(),
            labels: Vec::new(),
            timeout_seconds: timeout,
            max_retries: 0,
            all_traffic: false,
            zones: Vec::new(),
            accelerator: None,
            expires: expiry(Timestamp::now(), longest),
            start: true,
        }
    }
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

/// Enough of the id to be read, and a hash of all of it, since truncated names collide.
pub(crate) fn job_name(owner: &str, run: &RunId) -> String {
    let hash = hex::encode(Sha256::digest(format!("{owner}/{run}")));
    let id = run.container.get(..12).unwrap_or(&run.container);
    format!("sl-{id}-{}-{}", run.generation, hash.get(..8).unwrap_or(&hash))
}

pub(crate) fn labels(spec: &Spec, name: &str) -> Labels {
    [
        ("managed-by", "sockerless"),
        ("sockerless-container", &spec.id),
        ("sockerless-name", name),
        ("sockerless-image", &spec.image),
        ("sockerless-created", &spec.created.to_string()),
    ]
    .map(owned)
    .to_vec()
}

/// Milliseconds since 1970 after which a reaper may delete the job.
fn expiry(now: Timestamp, timeout: u64) -> Option<u64> {
    let after = Duration::from_secs(timeout).saturating_add(tuning::EXPIRY_MARGIN);
    u64::try_from(now.as_millisecond()).ok()?.checked_add(u64::try_from(after.as_millis()).ok()?)
}

/// Thousandths of a processor, from `--cpus` or from quota and period.
pub(crate) fn cpu_millis(spec: &Spec) -> Option<u32> {
    let host = &spec.host;
    let positive = |value: Option<i64>| value.filter(|value| *value > 0);
    let millis = match (positive(host.nano_cpus), positive(host.cpu_quota)) {
        (Some(nano), _) => (nano / 1_000_000).max(1),
        (None, Some(quota)) => quota.saturating_mul(1000) / positive(host.cpu_period).unwrap_or(100_000),
        (None, None) => return None,
    };
    u32::try_from(millis).ok()
}

/// What a job gets: what the user wants and the agent needs, within what the cloud has.
fn fit_memory(bytes: u64, agent: u64, limits: &Limits) -> u64 {
    let (smallest, largest) = limits.memory_bytes;
    bytes.saturating_add(agent).clamp(smallest, largest.max(smallest))
}

impl Engine {
    /// What a backend refuses, told before anything is created.
    pub(crate) fn check_size(&self, spec: &Spec) -> Result<Vec<String>> {
        let cloud = self.cloud(&spec.backend)?;
        let limits = cloud.manifest().limits;
        let mut warnings = Vec::new();
        let memory = spec.host.memory.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
        if memory > limits.memory_bytes.1 {
            let message = format!(
                "memory limit of {memory} bytes is more than the backend {} can give ({} bytes)",
                cloud.name, limits.memory_bytes.1
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if memory > 0 && memory < limits.memory_bytes.0 {
            warnings.push(format!(
                "the backend {} gives at least {} bytes of memory: the limit of {memory} bytes is raised to that",
                cloud.name, limits.memory_bytes.0
            ));
        }
        if cpu_millis(spec).is_some_and(|millis| millis > limits.cpu_millis.1) {
            let most = f64::from(limits.cpu_millis.1) / 1000.0;
            let message = format!(
                "range of CPUs is from 0.01 to {most:.2}, as there are only {most} CPUs available on the backend {}",
                cloud.name
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        warnings.extend(self.rounded(spec, memory, &cloud.manifest())?);
        Ok(warnings)
    }

    /// What becomes of the wishes for processors and memory where a cloud has fixed sizes.
    fn rounded(&self, spec: &Spec, memory: u64, manifest: &Manifest) -> Result<Option<String>> {
        let (backend, limits) = (&manifest.name, &manifest.limits);
        let millis = cpu_millis(spec).unwrap_or(0);
        if manifest.sizes.is_empty() || (millis == 0 && memory == 0) {
            return Ok(None);
        }
        let needed = if memory == 0 { 0 } else { fit_memory(memory, crate::tuning::AGENT_MEMORY, limits) };
        let fits = |size: &&Size| millis <= size.cpu_millis && needed <= size.memory_bytes.1;
        let Some(size) = manifest.sizes.iter().find(fits) else {
            let message = format!(
                "the backend {backend} has no size with {:.2} CPUs and {needed} bytes of memory together",
                f64::from(millis) / 1000.0
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        };
        let given = needed.max(size.memory_bytes.0);
        // A limit below the smallest has a warning of its own.
        let more_memory = memory >= limits.memory_bytes.0 && given > needed;
        let more_cpus = millis > 0 && size.cpu_millis > millis;
        Ok((more_memory || more_cpus).then(|| {
            format!(
                "the backend {backend} has fixed sizes: the container gets {} CPUs and at least {given} bytes of memory, the smallest that \
                 holds what it asks for",
                f64::from(size.cpu_millis) / 1000.0
            )
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jobs_name_fits_the_contract_and_tells_runs_apart() {
        let run = |generation| RunId { container: "ab".repeat(32), generation };
        let name = job_name("owner", &run(u32::MAX));
        assert!(name.len() <= 49 && name.starts_with("sl-abababababab-"), "{name}");
        assert_eq!(name, job_name("owner", &run(u32::MAX)));
        assert_ne!(job_name("owner", &run(1)), job_name("owner", &run(2)));
        assert_ne!(job_name("owner", &run(1)), job_name("other", &run(1)));
    }
}

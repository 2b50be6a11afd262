//! From the engine's types to version 0.1.

use sockerless_ports::backend as ports;

use super::bindings::exports::sockerless::backend::{dns, jobs, storage};

impl From<&ports::JobSpec> for jobs::Spec {
    fn from(spec: &ports::JobSpec) -> Self {
        Self {
            name: spec.name.clone(),
            owner: spec.owner.clone(),
            kind: match spec.kind {
                ports::WorkloadKind::RunToCompletion => jobs::WorkloadKind::RunToCompletion,
                ports::WorkloadKind::Service => jobs::WorkloadKind::Service,
                ports::WorkloadKind::Pod => jobs::WorkloadKind::Pod,
            },
            init: spec.init.iter().map(Into::into).collect(),
            containers: spec.containers.iter().map(Into::into).collect(),
            volumes: spec.volumes.iter().map(Into::into).collect(),
            labels: spec.labels.clone(),
            timeout_seconds: spec.timeout_seconds,
            max_retries: spec.max_retries,
            network: jobs::Network { all_traffic: spec.all_traffic, zones: spec.zones.clone() },
            accelerator: spec.accelerator.clone().map(|(kind, count)| jobs::Accelerator { kind, count }),
            expires: spec.expires,
            start: spec.start,
        }
    }
}

impl From<&ports::JobContainer> for jobs::Container {
    fn from(container: &ports::JobContainer) -> Self {
        Self {
            name: container.name.clone(),
            image: container.image.clone(),
            command: container.command.clone(),
            args: container.args.clone(),
            env: container.env.clone(),
            secret_env: container.secret_env.clone(),
            working_dir: container.working_dir.clone(),
            resources: jobs::Resources {
                cpu_millis: container.cpu_millis,
                memory_bytes: container.memory_bytes,
            },
            mounts: container.mounts.iter().map(Into::into).collect(),
            ports: container.ports.clone(),
            depends_on: container.depends_on.clone(),
            startup: container.startup.as_ref().map(Into::into),
            liveness: container.liveness.as_ref().map(Into::into),
        }
    }
}

impl From<&ports::MountPoint> for jobs::MountPoint {
    fn from(mount: &ports::MountPoint) -> Self {
        Self {
            volume: mount.volume.clone(),
            path: mount.path.clone(),
            sub_path: mount.sub_path.clone(),
            read_only: mount.read_only,
        }
    }
}

impl From<&ports::Probe> for jobs::Probe {
    fn from(probe: &ports::Probe) -> Self {
        Self {
            action: match &probe.action {
                ports::ProbeAction::Tcp(port) => jobs::ProbeAction::Tcp(*port),
                ports::ProbeAction::Http(port, path) => jobs::ProbeAction::Http((*port, path.clone())),
            },
            initial_delay_seconds: probe.initial_delay_seconds,
            period_seconds: probe.period_seconds,
            timeout_seconds: probe.timeout_seconds,
            failure_threshold: probe.failure_threshold,
        }
    }
}

impl From<&ports::JobVolume> for jobs::Volume {
    fn from(volume: &ports::JobVolume) -> Self {
        Self {
            name: volume.name.clone(),
            source: match &volume.source {
                ports::VolumeSource::Storage(mount) => {
                    jobs::VolumeSource::Storage(storage::PreparedMount { state: mount.state.clone() })
                }
                ports::VolumeSource::Memory(bytes) => jobs::VolumeSource::Memory(*bytes),
                ports::VolumeSource::Scratch(bytes) => jobs::VolumeSource::Scratch(*bytes),
                ports::VolumeSource::Secret(name) => jobs::VolumeSource::Secret(name.clone()),
            },
        }
    }
}

impl From<&ports::JobHandle> for jobs::Handle {
    fn from(handle: &ports::JobHandle) -> Self {
        Self { name: handle.name.clone(), state: handle.state.clone(), started: handle.started }
    }
}

impl From<&ports::Zone> for dns::Zone {
    fn from(zone: &ports::Zone) -> Self {
        Self {
            name: zone.name.clone(),
            domain: zone.domain.clone(),
            owner: zone.owner.clone(),
            labels: zone.labels.clone(),
        }
    }
}

impl From<&ports::AddressRecord> for dns::AddressRecord {
    fn from(record: &ports::AddressRecord) -> Self {
        Self {
            name: record.name.clone(),
            addresses: record.addresses.clone(),
            ttl_seconds: record.ttl_seconds,
        }
    }
}

impl From<&ports::Volume> for storage::Volume {
    fn from(volume: &ports::Volume) -> Self {
        Self {
            name: volume.name.clone(),
            owner: volume.owner.clone(),
            labels: volume.labels.clone(),
            options: volume.options.clone(),
        }
    }
}

impl From<&ports::MountRequest> for storage::MountRequest {
    fn from(request: &ports::MountRequest) -> Self {
        Self {
            source: match &request.source {
                ports::MountSource::Volume(name) => storage::MountSource::Volume(name.clone()),
                ports::MountSource::Blobs(path) => storage::MountSource::Blobs(path.clone()),
            },
            owner: request.owner.clone(),
            read_only: request.read_only,
            executable: request.executable,
            renew: request.renew,
        }
    }
}

//! From version 0.1 to the engine's types.

use sockerless_ports::backend as ports;

use super::bindings::{
    exports::sockerless::backend::{dns, jobs, plugin, storage},
    sockerless::backend::types,
};

impl From<types::Error> for ports::Error {
    fn from(error: types::Error) -> Self {
        use types::ErrorCode as Wit;
        Self {
            code: match error.code {
                Wit::InvalidArgument => ports::ErrorCode::InvalidArgument,
                Wit::NotFound => ports::ErrorCode::NotFound,
                Wit::AlreadyExists => ports::ErrorCode::AlreadyExists,
                Wit::Conflict => ports::ErrorCode::Conflict,
                Wit::PermissionDenied => ports::ErrorCode::PermissionDenied,
                Wit::Unauthenticated => ports::ErrorCode::Unauthenticated,
                Wit::NotReady => ports::ErrorCode::NotReady,
                Wit::QuotaExceeded => ports::ErrorCode::QuotaExceeded,
                Wit::Unavailable => ports::ErrorCode::Unavailable,
                Wit::DeadlineExceeded => ports::ErrorCode::DeadlineExceeded,
                Wit::Unsupported => ports::ErrorCode::Unsupported,
                Wit::Internal => ports::ErrorCode::Internal,
            },
            message: error.message,
            provider_status: error.provider_status,
            retry_after_ms: error.retry_after_ms,
        }
    }
}

impl From<plugin::Manifest> for ports::Manifest {
    fn from(manifest: plugin::Manifest) -> Self {
        Self {
            name: manifest.name,
            version: manifest.version,
            description: manifest.description,
            settings: manifest.settings.into_iter().map(Into::into).collect(),
            http: manifest
                .http
                .into_iter()
                .map(|grant| ports::HttpGrant { host: grant.host, credentials: grant.credentials })
                .collect(),
            features: manifest.features.into(),
            limits: ports::Limits {
                max_timeout_seconds: manifest.limits.max_timeout_seconds,
                cpu_millis: manifest.limits.cpu_millis,
                memory_bytes: manifest.limits.memory_bytes,
                stop_grace_seconds: manifest.limits.stop_grace_seconds,
                max_env: manifest.limits.max_env,
            },
            sizes: manifest
                .sizes
                .into_iter()
                .map(|size| ports::Size { cpu_millis: size.cpu_millis, memory_bytes: size.memory_bytes })
                .collect(),
            volumes: manifest.volumes.map(Into::into).unwrap_or_default(),
        }
    }
}

impl From<plugin::VolumeDriver> for ports::VolumeDriver {
    fn from(driver: plugin::VolumeDriver) -> Self {
        Self { name: driver.name, mountpoint: driver.mountpoint }
    }
}

impl From<plugin::Setting> for ports::Setting {
    fn from(setting: plugin::Setting) -> Self {
        Self {
            name: setting.name,
            environment: setting.environment,
            description: setting.description,
            required: setting.required,
            default: setting.default,
        }
    }
}

impl From<plugin::Feature> for ports::Features {
    fn from(features: plugin::Feature) -> Self {
        use plugin::Feature as Wit;
        Self {
            sidecars: features.contains(Wit::SIDECARS),
            start_on_create: features.contains(Wit::START_ON_CREATE),
            run_as_user: features.contains(Wit::RUN_AS_USER),
            privileged: features.contains(Wit::PRIVILEGED),
            read_only_root: features.contains(Wit::READ_ONLY_ROOT),
            memory_volumes: features.contains(Wit::MEMORY_VOLUMES),
            hostname: features.contains(Wit::HOSTNAME),
            accelerators: features.contains(Wit::ACCELERATORS),
            inbound: features.contains(Wit::INBOUND),
            pause: features.contains(Wit::PAUSE),
            scratch_volumes: features.contains(Wit::SCRATCH_VOLUMES),
            init_containers: features.contains(Wit::INIT_CONTAINERS),
        }
    }
}

impl From<plugin::ImageSources> for ports::ImageSources {
    fn from(images: plugin::ImageSources) -> Self {
        Self {
            direct: images.direct,
            repository: images.repository,
            credential: images.credential,
            platforms: images.platforms,
        }
    }
}

impl From<plugin::Check> for ports::Check {
    fn from(check: plugin::Check) -> Self {
        Self {
            name: check.name,
            verdict: match check.verdict {
                plugin::Verdict::Pass => ports::Verdict::Pass,
                plugin::Verdict::Warn => ports::Verdict::Warn,
                plugin::Verdict::Fail => ports::Verdict::Fail,
                plugin::Verdict::Skip => ports::Verdict::Skip,
            },
            finding: check.finding,
            remedy: check.remedy,
        }
    }
}

impl From<jobs::Handle> for ports::JobHandle {
    fn from(handle: jobs::Handle) -> Self {
        Self { name: handle.name, state: handle.state, started: handle.started }
    }
}

impl From<jobs::JobStatus> for ports::JobStatus {
    fn from(status: jobs::JobStatus) -> Self {
        Self {
            handle: status.handle.into(),
            phase: match status.phase {
                jobs::Phase::Created => ports::Phase::Created,
                jobs::Phase::Starting => ports::Phase::Starting,
                jobs::Phase::Running => ports::Phase::Running,
                jobs::Phase::Succeeded => ports::Phase::Succeeded,
                jobs::Phase::Failed => ports::Phase::Failed,
                jobs::Phase::Cancelled => ports::Phase::Cancelled,
                jobs::Phase::Absent => ports::Phase::Absent,
            },
            exit_code: status.exit_code,
            term_signal: status.term_signal,
            reason: status.reason,
            message: status.message,
            created: status.created,
            started: status.started,
            finished: status.finished,
            poll_after_ms: status.poll_after_ms,
        }
    }
}

impl From<jobs::Page> for ports::Page<(ports::JobStatus, ports::Labels)> {
    fn from(page: jobs::Page) -> Self {
        Self {
            items: page.items.into_iter().map(|(status, labels)| (status.into(), labels)).collect(),
            next: page.next,
        }
    }
}

impl From<jobs::LogPage> for ports::LogPage {
    fn from(page: jobs::LogPage) -> Self {
        let entry = |entry: jobs::LogEntry| ports::CloudLogEntry {
            time: entry.time,
            stderr: matches!(entry.output, jobs::Output::Stderr),
            line: entry.line,
        };
        Self {
            entries: page.entries.into_iter().map(entry).collect(),
            next: page.next,
            poll_after_ms: page.poll_after_ms,
            lag_ms: page.lag_ms,
        }
    }
}

impl From<dns::Zone> for ports::Zone {
    fn from(zone: dns::Zone) -> Self {
        Self { name: zone.name, domain: zone.domain, owner: zone.owner, labels: zone.labels }
    }
}

impl From<dns::ZonePage> for ports::Page<ports::Zone> {
    fn from(page: dns::ZonePage) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next: page.next }
    }
}

impl From<dns::AddressRecord> for ports::AddressRecord {
    fn from(record: dns::AddressRecord) -> Self {
        Self { name: record.name, addresses: record.addresses, ttl_seconds: record.ttl_seconds }
    }
}

impl From<storage::Volume> for ports::Volume {
    fn from(volume: storage::Volume) -> Self {
        Self { name: volume.name, owner: volume.owner, labels: volume.labels, options: volume.options }
    }
}

impl From<storage::VolumePage> for ports::Page<ports::Volume> {
    fn from(page: storage::VolumePage) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next: page.next }
    }
}

impl From<storage::VolumeUsage> for ports::Usage {
    fn from(usage: storage::VolumeUsage) -> Self {
        Self { bytes: usage.bytes, files: usage.files }
    }
}

impl From<storage::PreparedMount> for ports::Mount {
    fn from(mount: storage::PreparedMount) -> Self {
        Self { state: mount.state }
    }
}

impl From<storage::BlobInfo> for ports::BlobInfo {
    fn from(blob: storage::BlobInfo) -> Self {
        Self { path: blob.path, size: blob.size, modified: blob.modified }
    }
}

impl From<storage::BlobPage> for ports::Page<ports::BlobInfo> {
    fn from(page: storage::BlobPage) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next: page.next }
    }
}

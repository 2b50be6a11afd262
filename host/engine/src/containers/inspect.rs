//! `docker inspect`.

use bollard_stubs::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, DriverData, HostConfig, MountPoint,
    MountPointTypeEnum, MountTypeEnum, OciDescriptor, OciPlatform,
};
use sockerless_ports::backend::VolumeDriver;

use super::{health, network, spec::Spec, status, table::View};
use crate::{Engine, Result, life::Phase, networks::links_shown};

impl Engine {
    /// `GET /containers/{id}/json`. The size is that of the image: how much a
    /// container has written to its own file system is known to no cloud.
    ///
    /// Errors: 404.
    pub fn inspect(&self, reference: &str, size: bool) -> Result<ContainerInspectResponse> {
        let entry = self.containers.find(reference)?;
        let view = entry.view();
        let spec = &view.spec;
        let log = (spec.log_driver() != "none").then(|| self.logs.location(&spec.id)).flatten();
        // These files of dockerd's are made by the cloud here, out of this machine's sight.
        let no_file = Some(String::new());
        Ok(ContainerInspectResponse {
            id: Some(spec.id.clone()),
            created: Some(spec.created.to_string()),
            path: Some(spec.path.clone()),
            args: Some(spec.args.clone()),
            state: Some(state(&view)),
            image: Some(spec.image_id.clone()),
            resolv_conf_path: no_file.clone(),
            hostname_path: no_file.clone(),
            hosts_path: no_file,
            log_path: Some(log.unwrap_or_default().to_string_lossy().into_owned()),
            name: Some(format!("/{}", view.name)),
            restart_count: Some(view.state.restarts.count.into()),
            driver: Some(spec.backend.clone()),
            platform: Some(spec.os.clone()),
            image_manifest_descriptor: descriptor(spec),
            mount_label: Some(String::new()),
            process_label: Some(String::new()),
            app_armor_profile: Some(String::new()),
            exec_ids: self.execs.live(&spec.id, view.state.generation).filter(|_| view.state.is_live()),
            host_config: Some(HostConfig {
                links: links_shown(&view, &self.containers),
                ..spec.host.clone()
            }),
            graph_driver: Some(DriverData {
                name: spec.backend.clone(),
                data: std::collections::HashMap::new(),
            }),
            size_rw: None,
            size_root_fs: self.images.names().size(&spec.image_id).filter(|_| size),
            mounts: Some(mounts(spec, &self.volume_driver(&spec.backend))),
            config: Some(spec.config.clone()),
            network_settings: Some(network::settings(&view, self.networks.catching(&spec.id).as_ref())),
        })
    }
}

fn state(view: &View) -> ContainerState {
    let state = &view.state;
    let status = match status::word(state) {
        "created" => ContainerStateStatusEnum::CREATED,
        "running" => ContainerStateStatusEnum::RUNNING,
        "paused" => ContainerStateStatusEnum::PAUSED,
        "restarting" => ContainerStateStatusEnum::RESTARTING,
        "exited" => ContainerStateStatusEnum::EXITED,
        "removing" => ContainerStateStatusEnum::REMOVING,
        _ => ContainerStateStatusEnum::DEAD,
    };
    ContainerState {
        status: Some(status),
        running: Some(state.is_up()),
        paused: Some(state.paused),
        restarting: Some(status == ContainerStateStatusEnum::RESTARTING),
        oom_killed: Some(state.out_of_memory),
        dead: Some(state.phase == Phase::Dead),
        pid: Some(state.pid.into()),
        exit_code: Some(state.exit_code.into()),
        // What the next start or others will lack is told where people look for what went wrong.
        error: [&state.error, &state.unsaved, &state.unreturned.binds, &state.unreturned.volumes]
            .into_iter()
            .find(|error| !error.is_empty())
            .or(Some(&state.error))
            .cloned(),
        started_at: Some(status::time(state.started)),
        finished_at: Some(status::time(state.finished)),
        health: state.health.as_deref().map(health::model),
    }
}

fn descriptor(spec: &Spec) -> Option<OciDescriptor> {
    (!spec.image_manifest.is_empty()).then(|| OciDescriptor {
        media_type: Some("application/vnd.oci.image.manifest.v1+json".into()),
        digest: Some(spec.image_manifest.clone()),
        platform: Some(OciPlatform { os: Some(spec.os.clone()), ..OciPlatform::default() }),
        ..OciDescriptor::default()
    })
}

/// As dockerd's: what `--mount type=tmpfs` asked for, but not `--tmpfs`, which the host configuration shows.
pub(super) fn mounts(spec: &Spec, driver: &VolumeDriver) -> Vec<MountPoint> {
    let memory = spec.host.mounts.iter().flatten().filter(|mount| mount.typ == Some(MountTypeEnum::TMPFS));
    let memory = memory.map(|mount| MountPoint {
        typ: Some(MountPointTypeEnum::TMPFS),
        name: None,
        source: Some(String::new()),
        destination: mount.target.clone(),
        driver: None,
        mode: Some(String::new()),
        rw: Some(!mount.read_only.unwrap_or_default()),
        propagation: Some(String::new()),
    });
    spec.mounts.iter().map(|mounted| mounted.model(driver)).chain(memory).collect()
}

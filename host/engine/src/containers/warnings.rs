//! What a container cannot have: refused when it would mislead, warned about when it runs without.

use bollard_stubs::models::{ContainerConfig, HostConfig, Mount, MountTypeEnum};
use sockerless_ports::{
    backend::{Features, Manifest},
    registry::ImageConfig,
};

use crate::{Error, ErrorKind, Result, publish};

/// What is asked for, before the image's configuration is merged into it.
pub(crate) struct Wishes<'a> {
    pub config: &'a ContainerConfig,
    pub host: &'a HostConfig,
    pub image: &'a ImageConfig,
}

fn unsupported<T>(message: String) -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, message))
}

/// Errors: 501 for what would be silently something else.
pub(crate) fn refuse(wishes: &Wishes<'_>) -> Result<()> {
    let host = wishes.host;
    if let Some(port) = publish::is_refused(wishes.config, host) {
        return unsupported(format!("published ports (-p, -P): only TCP and UDP can be published: {port}"));
    }
    if host.network_mode.as_deref() == Some("container:") {
        let message = "Invalid network mode: invalid container format container:<name|id>";
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(())
}

/// Each says what and why.
pub(crate) fn warn(wishes: &Wishes<'_>, manifest: &Manifest) -> Vec<String> {
    let Features { privileged, read_only_root, hostname, run_as_user, accelerators, .. } = manifest.features;
    let Features { memory_volumes, scratch_volumes, .. } = manifest.features;
    let (config, host) = (wishes.config, wishes.host);
    let backend = &manifest.name;
    let lacks =
        |what: &str| format!("{what}: the backend {backend} does not offer it, the container runs without");
    let local =
        |what: &str| format!("{what}: there is no such thing in a cloud's job, the container runs without");
    let some = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let flag = |flag: Option<bool>| flag.unwrap_or(false);
    let text = |text: &Option<String>| text.as_deref().unwrap_or_default().to_owned();
    let mut warnings = Vec::new();
    let mut when = |condition: bool, warning: String| {
        if condition {
            warnings.push(warning);
        }
    };
    when(flag(host.privileged) && !privileged, lacks("privileged mode (--privileged)"));
    when(some(&host.cap_add) && !privileged, lacks("capabilities (--cap-add)"));
    when(some(&host.cap_drop), lacks("dropped capabilities (--cap-drop)"));
    when(flag(host.readonly_rootfs) && !read_only_root, lacks("a read-only root file system (--read-only)"));
    when(
        !text(&config.hostname).is_empty() && !hostname,
        format!(
            "the host name (--hostname): the backend {backend} keeps its own; the variable HOSTNAME is set"
        ),
    );
    when(!text(&config.domainname).is_empty(), lacks("the domain name (--domainname)"));
    let root = |user: &str| matches!(user.split(':').next(), None | Some("" | "0" | "root"));
    let user = text(&config.user);
    when(
        !user.is_empty() && !run_as_user && !root(&wishes.image.user) && user != wishes.image.user,
        format!(
            "the user {user} (--user): the backend {backend} runs the image as its own user {}, who cannot become another",
            wishes.image.user
        ),
    );
    when(
        some(&host.group_add) && !root(&wishes.image.user) && !run_as_user,
        lacks("additional groups (--group-add)"),
    );
    when(host.devices.as_ref().is_some_and(|devices| !devices.is_empty()), local("devices (--device)"));
    when(
        host.device_requests.as_ref().is_some_and(|all| !all.is_empty()) && !accelerators,
        lacks("GPUs (--gpus)"),
    );
    when(
        host.device_requests.as_ref().is_some_and(|all| !all.is_empty()) && accelerators,
        format!("GPUs (--gpus): the backend {backend} has them, but they are not passed on to it yet"),
    );
    when(host.ulimits.as_ref().is_some_and(|all| !all.is_empty()), lacks("resource limits (--ulimit)"));
    when(host.sysctls.as_ref().is_some_and(|all| !all.is_empty()), lacks("kernel parameters (--sysctl)"));
    when(some(&host.security_opt), lacks("security options (--security-opt)"));
    when(
        host.storage_opt.as_ref().is_some_and(|all| !all.is_empty()),
        local("storage options (--storage-opt)"),
    );
    when(host.pids_limit.is_some_and(|limit| limit > 0), lacks("a limit of processes (--pids-limit)"));
    when(
        host.shm_size.is_some_and(|size| size > 0 && size != crate::tuning::SHM_SIZE),
        lacks("the size of /dev/shm (--shm-size)"),
    );
    let typed = |mount: &Mount| mount.typ == Some(MountTypeEnum::TMPFS);
    let tmpfs =
        host.tmpfs.as_ref().is_some_and(|all| !all.is_empty()) || host.mounts.iter().flatten().any(typed);
    when(
        tmpfs && !memory_volumes && scratch_volumes,
        format!(
            "memory file systems (--tmpfs): the backend {backend} has none; they are on its disk, and without a limit of size"
        ),
    );
    when(
        tmpfs && !memory_volumes && !scratch_volumes,
        format!(
            "memory file systems (--tmpfs): the backend {backend} does not offer them; they are mounted if the job permits it"
        ),
    );
    for (mode, option) in [(&host.pid_mode, "--pid"), (&host.ipc_mode, "--ipc"), (&host.uts_mode, "--uts")] {
        when(
            matches!(mode.as_deref(), Some(mode) if mode == "host" || mode.starts_with("container:")),
            local(&format!("a shared namespace ({option})")),
        );
    }
    when(host.network_mode.as_deref() == Some("host"), local("the host's network (--network host)"));
    let published = host.port_bindings.as_ref().is_some_and(|all| !all.is_empty());
    when(
        published && host.network_mode.as_deref() == Some("host"),
        "Published ports are discarded when using host network mode".into(),
    );
    warnings
}

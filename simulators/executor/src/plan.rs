//! From a specification and an image to what a keeper carries out.

use std::net::IpAddr;

use rustix::thread::CapabilitySet;

use crate::{
    error::ExecutorError,
    executor::Inner,
    image::Image,
    served::Waiting,
    spec::{FailureReason, MountSource, TaskSpec},
    stage::protocol::{Plan, PlanMount},
};

/// Cloud Run's containers are called so.
const HOSTNAME: &str = "localhost";

/// Refuses what can never run.
pub(crate) fn check(spec: &TaskSpec) -> Result<(), ExecutorError> {
    let invalid = |message: String| Err(ExecutorError::InvalidSpec(message));
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if spec.id.len() > 128
        || !spec.id.bytes().all(word)
        || !spec.id.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
    {
        return invalid(format!(
            "{:?} is no task id: letters, digits, '_', '.' and '-', at most 128",
            spec.id
        ));
    }
    if let Some((name, _)) = spec.env.iter().find(|(name, _)| name.is_empty() || name.contains('=')) {
        return invalid(format!("{name:?} is no name of a variable"));
    }
    let strings = spec.command.iter().chain(&spec.args).chain(&spec.working_dir).chain(&spec.hostname);
    let pairs = spec.env.iter().flat_map(|(name, value)| [name, value]);
    if strings.chain(pairs).chain(spec.mounts.iter().map(|mount| &mount.path)).any(|text| text.contains('\0'))
    {
        return invalid("a NUL byte in a string".into());
    }
    for path in spec.working_dir.iter().chain(spec.mounts.iter().map(|mount| &mount.path)) {
        if !path.starts_with('/') {
            return invalid(format!("{path} is no absolute path"));
        }
    }
    for mount in &spec.mounts {
        let MountSource::Shared(name) = &mount.source else { continue };
        if spec.pod.is_none() {
            return invalid(format!("the mount at {} is shared, and the task has no pod", mount.path));
        }
        if name.is_empty() || name.len() > 64 || !name.bytes().all(word) || name.starts_with('.') {
            return invalid(format!("{name:?} is no name of a shared folder"));
        }
    }
    if spec.hostname.as_ref().is_some_and(|name| name.is_empty() || name.len() > 64) {
        return invalid("a host name has 1 to 64 bytes".into());
    }
    capabilities(&spec.capabilities).map(drop)
}

/// Whether /etc/hosts can have them: names, parted by blanks.
pub(crate) fn check_names(names: &str) -> Result<(), ExecutorError> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    match names.split(' ').all(|name| !name.is_empty() && name.bytes().all(word)) {
        true => Ok(()),
        false => Err(ExecutorError::InvalidSpec(format!("{names:?} is no name of a host"))),
    }
}

/// `folder` names the task among all that this executor ever ran. Mounts that are served are waited for as long as the
/// second value lives.
pub(crate) fn plan(
    inner: &Inner,
    spec: TaskSpec,
    folder: String,
    image: &Image,
    address: IpAddr,
) -> Result<(Plan, Waiting), (FailureReason, String)> {
    let config = &image.config.config;
    let argv = argv(&spec, &config.entrypoint, &config.cmd);
    if argv.is_empty() {
        let message = format!("no command: neither the image {} nor the task names one", spec.image);
        return Err((FailureReason::CommandNotFound, message));
    }
    let internal = |error: ExecutorError| (FailureReason::Internal, error.to_string());
    let mut mounts = Vec::new();
    let mut waiting = Waiting::default();
    let pod = spec.pod.as_ref();
    for (index, mount) in spec.mounts.into_iter().enumerate() {
        let fails =
            |error: std::io::Error| (FailureReason::MountFailed, format!("mount at {}: {error}", mount.path));
        let mut served = None;
        let (source, size) = match mount.source {
            MountSource::Directory(path) => {
                let source = std::fs::canonicalize(&path).map_err(|error| {
                    (
                        FailureReason::MountFailed,
                        format!("mount at {}: {}: {error}", mount.path, path.display()),
                    )
                })?;
                (Some(source), None)
            }
            MountSource::Memory { size } => (None, size),
            MountSource::Shared(name) => {
                // Refused before when there is no pod.
                let folder = pod.map(|pod| pod.folder(&name)).transpose().map_err(fails)?;
                (folder, None)
            }
            MountSource::Served(server) => {
                let socket = inner.state.join("sockets").join(format!("{folder}.{index}"));
                waiting.open(socket.clone(), server).map_err(fails)?;
                served = Some(socket);
                (None, None)
            }
        };
        mounts.push(PlanMount { path: mount.path, source, served, size, read_only: mount.read_only });
    }
    let hostname = spec.hostname.unwrap_or_else(|| HOSTNAME.to_owned());
    let mut names = if hostname == HOSTNAME { String::new() } else { format!("{address}\t{hostname}\n") };
    names.push_str(&inner.hosts.text());
    let working_dir = spec.working_dir.unwrap_or_else(|| config.working_dir.clone());
    let env = spec.env.into_iter().map(|(name, value)| format!("{name}={value}"));
    let plan = Plan {
        state: inner.state.clone(),
        task: folder,
        layers: image.layers.clone(),
        argv,
        env: config.env.iter().cloned().chain(env).collect(),
        user: config.user.clone(),
        working_dir: if working_dir.is_empty() { "/".into() } else { working_dir },
        make_working_dir: spec.make_working_dir,
        hosts: format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{names}"),
        hostname,
        resolv_conf: inner.network.resolv_conf(),
        mounts,
        capabilities: capabilities(&spec.capabilities).map_err(internal)?,
        rootless: inner.limits.rootless,
        cgroup: inner.cgroups.plan(spec.memory_bytes, spec.cpu_millis),
        network: spec.pod.as_ref().map(|pod| pod.network().to_owned()),
    };
    Ok((plan, waiting))
}

/// Kubernetes' rule: a command without arguments runs without the image's.
fn argv(spec: &TaskSpec, entrypoint: &[String], cmd: &[String]) -> Vec<String> {
    let command = if spec.command.is_empty() { entrypoint } else { &spec.command };
    let args = match (spec.command.is_empty(), spec.args.is_empty()) {
        (_, false) => spec.args.as_slice(),
        (true, true) => cmd,
        (false, true) => &[],
    };
    command.iter().chain(args).cloned().collect()
}

fn capabilities(names: &[String]) -> Result<u64, ExecutorError> {
    let mut set = CapabilitySet::empty();
    for name in names {
        let short = name.strip_prefix("CAP_").unwrap_or(name);
        set |= CapabilitySet::from_name(short)
            .ok_or_else(|| ExecutorError::InvalidSpec(format!("there is no capability {name}")))?;
    }
    Ok(set.bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(command: &[&str], args: &[&str]) -> TaskSpec {
        let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        TaskSpec { id: "t".into(), command: strings(command), args: strings(args), ..TaskSpec::default() }
    }

    #[test]
    fn command_and_args_replace_the_images_as_kubernetes_has_it() {
        let (entrypoint, cmd) = (["e".to_owned()], ["c".to_owned()]);
        for (command, args, expected) in [
            (&[][..], &[][..], &["e", "c"][..]),
            (&["x"], &[], &["x"]),
            (&[], &["y"], &["e", "y"]),
            (&["x"], &["y"], &["x", "y"]),
        ] {
            assert_eq!(argv(&spec(command, args), &entrypoint, &cmd), expected);
        }
    }

    #[test]
    fn capabilities_are_known_with_and_without_their_prefix() {
        assert_eq!(capabilities(&["CHOWN".into(), "CAP_KILL".into()]).unwrap(), 1 | 1 << 5);
        assert!(capabilities(&["CAP_NONSENSE".into()]).is_err());
    }

    #[test]
    fn a_specification_that_can_never_run_is_refused() {
        let broken = |change: fn(&mut TaskSpec)| {
            let mut spec = spec(&[], &[]);
            change(&mut spec);
            check(&spec).is_err()
        };
        assert!(check(&spec(&[], &[])).is_ok());
        assert!(broken(|spec| spec.id = "../x".into()));
        assert!(broken(|spec| spec.id = String::new()));
        assert!(broken(|spec| spec.working_dir = Some("relative".into())));
        assert!(broken(|spec| spec.env = vec![("A=B".into(), "c".into())]));
        assert!(broken(|spec| spec.args = vec!["a\0b".into()]));
        assert!(broken(|spec| spec.hostname = Some("x".repeat(65))));
        assert!(check_names("web web.example").is_ok());
        assert!(check_names("a\n::1 b").is_err() && check_names("").is_err());
    }
}

//! The process of a container: what the agent is told to start.

use bollard_stubs::models::MountTypeEnum;
use sockerless_ports::{
    backend::Features,
    link::{Launch, TerminalSize},
};

use super::{health, spec::Spec};
use crate::networks;

/// dockerd's default.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the agent is to start.
pub(crate) fn launch(spec: &Spec, features: Features) -> Launch {
    let config = &spec.config;
    let set = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    Launch {
        argv: std::iter::once(&spec.path).chain(&spec.args).cloned().collect(),
        env: launch_env(spec),
        working_dir: set(&config.working_dir).unwrap_or_else(|| "/".into()),
        user: set(&config.user),
        groups: spec.host.group_add.clone().unwrap_or_default(),
        tty: spec.tty(),
        stdin: spec.open_stdin(),
        size: first_size(spec),
        hostname: Some(spec.hostname().to_owned()),
        // What the cloud mounts the agent does not.
        tmpfs: if features.empty_volume(None).is_some() { Vec::new() } else { tmpfs(spec) },
        sockets: networks::sockets(spec),
        health: health::check(spec),
    }
}

/// The environment as dockerd builds it: its own variables first, the container's over them; an entry
/// without `=` takes a variable away.
pub(crate) fn launch_env(spec: &Spec) -> Vec<String> {
    environment(spec, spec.tty(), &[])
}

/// The same for a process of its own terminal or none, with more over it.
pub(crate) fn environment(spec: &Spec, tty: bool, more: &[String]) -> Vec<String> {
    let mut env = vec![DEFAULT_PATH.to_owned(), format!("HOSTNAME={}", spec.hostname())];
    if tty {
        env.push("TERM=xterm".into());
    }
    for entry in spec.config.env.iter().flatten().chain(more) {
        let name = variable(entry);
        let place = env.iter().position(|known| variable(known) == name);
        match (place, entry.contains('=')) {
            (Some(place), true) => env[place].clone_from(entry),
            (Some(place), false) => {
                env.remove(place);
            }
            (None, true) => env.push(entry.clone()),
            (None, false) => {}
        }
    }
    env
}

/// The name in `NAME=value`.
pub(crate) fn variable(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(name, _)| name)
}

/// `ConsoleSize` is height, then width; zeros mean that it is not known.
fn first_size(spec: &Spec) -> Option<TerminalSize> {
    let [rows, columns] = spec.host.console_size.as_deref()?.try_into().ok()?;
    let (rows, columns) = (u16::try_from(rows).ok()?, u16::try_from(columns).ok()?);
    (rows > 0 && columns > 0).then_some(TerminalSize { columns, rows })
}

/// Paths and options of `--tmpfs` and of mounts of that type, in the order of their paths.
pub(crate) fn tmpfs(spec: &Spec) -> Vec<(String, String)> {
    let mut all: Vec<_> =
        spec.host.tmpfs.iter().flatten().map(|(path, options)| (path.clone(), options.clone())).collect();
    for mount in spec.host.mounts.iter().flatten() {
        if mount.typ == Some(MountTypeEnum::TMPFS) {
            let size = mount.tmpfs_options.as_ref().and_then(|options| options.size_bytes);
            let options = size.map(|size| format!("size={size}")).unwrap_or_default();
            all.push((mount.target.clone().unwrap_or_default(), options));
        }
    }
    all.sort();
    all
}

/// The same with sizes in bytes.
pub(crate) fn memory_volumes(spec: &Spec) -> Vec<(String, Option<u64>)> {
    tmpfs(spec)
        .into_iter()
        .map(|(path, options)| {
            let size = options.split(',').find_map(|option| option.strip_prefix("size="));
            (path, size.and_then(bytes))
        })
        .collect()
}

/// `64m` and the like, as mount options have them.
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = match text.find(|character: char| !character.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// dockerd's words around its runtime's. The docker CLI makes its own exit codes 126 and 127 of them.
pub(crate) fn launch_message(message: &str) -> String {
    const RUNTIME: &str = "unable to start container process: ";
    const TASK: &str = "failed to create task for container: ";
    if message.starts_with(TASK) {
        return message.to_owned();
    }
    let message = message.strip_suffix(": unknown").unwrap_or(message);
    let inner = message.split_once(RUNTIME).map_or(message, |(_, inner)| inner);
    format!(
        "{TASK}failed to create shim task: OCI runtime create failed: runc create failed: {RUNTIME}{inner}: unknown"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_command_is_told_in_dockerds_words() {
        let expected = "failed to create task for container: failed to create shim task: OCI runtime create failed: \
                        runc create failed: unable to start container process: exec: \"nope\": executable file not \
                        found in $PATH: unknown";
        let bare = "exec: \"nope\": executable file not found in $PATH";
        assert_eq!(launch_message(bare), expected);
        assert_eq!(launch_message(&format!("unable to start container process: {bare}")), expected);
        assert_eq!(launch_message(expected), expected);
    }

    #[test]
    fn sizes_of_mount_options_are_understood() {
        assert_eq!(bytes("64m"), Some(64 << 20));
        assert_eq!(bytes("1G"), Some(1 << 30));
        assert_eq!(bytes("512"), Some(512));
        assert_eq!(bytes("50%"), None);
        assert_eq!(bytes("99999999999999999999"), None);
    }
}

//! gcsfuse's flags, as a Cloud Storage volume passes them on.

use std::time::Duration;

use crate::limits;

/// What the flags say about the mount's look.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MountOptions {
    /// Only what lies below this folder, without slashes at its ends; empty for the whole bucket.
    pub only_dir: String,
    /// Mode of files.
    pub file_mode: u32,
    /// Mode of folders.
    pub dir_mode: u32,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Folders exist without an object of their own.
    pub implicit_dirs: bool,
    /// How long what is known of a file stays true.
    pub metadata_ttl: Duration,
    /// How long it stays true that there is no such file.
    pub negative_ttl: Duration,
    /// Objects that a folder may hold to be renamed.
    pub rename_dir_limit: u64,
}

/// Flags that change speed and freshness alone, which a copy on this disk has anyway.
const TUNING: &[&str] = &[
    "stat-cache-max-size-mb",
    "type-cache-max-size-mb",
    "stat-cache-ttl",
    "stat-cache-capacity",
    "type-cache-ttl",
    "kernel-list-cache-ttl-secs",
    "max-conns-per-host",
    "max-idle-conns-per-host",
    "max-retry-sleep",
    "retry-multiplier",
    "limit-bytes-per-sec",
    "limit-ops-per-sec",
    "sequential-read-size-mb",
    "write-global-max-blocks",
    "log-severity",
    "http-client-timeout",
    "client-protocol",
    "billing-project",
];
/// Flags with a value that the mount's look depends on.
const OWN: &[&str] = &[
    "only-dir",
    "file-mode",
    "dir-mode",
    "uid",
    "gid",
    "metadata-cache-ttl-secs",
    "metadata-cache-negative-ttl-secs",
    "rename-dir-limit",
];
const TUNING_SWITCHES: &[&str] = &["enable-nonexistent-type-cache", "enable-streaming-writes", "enable-hns"];

/// Seconds; -1 is for ever.
fn seconds(text: &str) -> Option<Duration> {
    match text.parse::<i64>().ok()? {
        -1 => Some(limits::FUSE_FOR_EVER),
        seconds => u64::try_from(seconds).ok().map(Duration::from_secs),
    }
}

impl MountOptions {
    /// Whether what is known of the bucket may be kept for ever.
    pub fn is_frozen(&self) -> bool {
        self.metadata_ttl == limits::FUSE_FOR_EVER
    }

    /// Reads the flags of a volume.
    ///
    /// # Errors
    /// gcsfuse's complaint, which fails the mount: an unknown flag, or one in the colon style.
    pub fn parse<'a>(options: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut parsed = Self {
            only_dir: String::new(),
            file_mode: 0o644,
            dir_mode: 0o755,
            uid: None,
            gid: None,
            // Cloud Run's own default, other than gcsfuse's (its page about volume mounts of jobs).
            implicit_dirs: true,
            metadata_ttl: limits::FUSE_METADATA_TTL,
            negative_ttl: limits::FUSE_NEGATIVE_TTL,
            rename_dir_limit: 0,
        };
        for option in options {
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (option, None),
            };
            let bad = |kind: &str| {
                format!("invalid argument \"{}\" for \"--{name}\" flag: {kind}", value.unwrap_or_default())
            };
            let octal = |text: &str| u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
            match (name, value) {
                ("implicit-dirs", None | Some("true")) => parsed.implicit_dirs = true,
                ("implicit-dirs", Some("false")) => parsed.implicit_dirs = false,
                ("only-dir", Some(dir)) => {
                    let dir = dir.trim_matches('/');
                    if dir.split('/').any(|part| part == ".." || part == ".") {
                        return Err(bad("path traversal"));
                    }
                    parsed.only_dir = dir.to_owned();
                }
                ("file-mode", Some(mode)) => {
                    parsed.file_mode = octal(mode).ok_or_else(|| bad("parse error"))?
                }
                ("dir-mode", Some(mode)) => {
                    parsed.dir_mode = octal(mode).ok_or_else(|| bad("parse error"))?
                }
                ("uid", Some(id)) => parsed.uid = Some(id.parse().map_err(|_| bad("invalid syntax"))?),
                ("gid", Some(id)) => parsed.gid = Some(id.parse().map_err(|_| bad("invalid syntax"))?),
                ("metadata-cache-ttl-secs", Some(text)) => {
                    parsed.metadata_ttl = seconds(text).ok_or_else(|| bad("invalid syntax"))?
                }
                ("metadata-cache-negative-ttl-secs", Some(text)) => {
                    parsed.negative_ttl = seconds(text).ok_or_else(|| bad("invalid syntax"))?
                }
                ("rename-dir-limit", Some(text)) => {
                    parsed.rename_dir_limit = text.parse().map_err(|_| bad("invalid syntax"))?
                }
                (name, Some(value)) if TUNING.contains(&name) && !value.is_empty() => {}
                (name, None | Some("true" | "false")) if TUNING_SWITCHES.contains(&name) => {}
                (name, None) if TUNING.contains(&name) || OWN.contains(&name) => {
                    return Err(format!("flag needs an argument: --{name}"));
                }
                _ => return Err(format!("unknown flag: --{name}")),
            }
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_of_the_agents_delivery_are_read() {
        let options =
            MountOptions::parse(["only-dir=/agent/ab/", "file-mode=755", "implicit-dirs", "uid=7"]).unwrap();
        assert_eq!(options.only_dir, "agent/ab");
        assert_eq!((options.file_mode, options.dir_mode), (0o755, 0o755));
        assert_eq!((options.uid, options.gid, options.implicit_dirs), (Some(7), None, true));
        assert_eq!(
            (options.metadata_ttl, options.negative_ttl),
            (Duration::from_secs(60), Duration::from_secs(5))
        );
        assert!(
            !options.is_frozen() && MountOptions::parse(["metadata-cache-ttl-secs=-1"]).unwrap().is_frozen()
        );
    }

    #[test]
    fn unknown_and_colon_style_flags_fail_the_mount() {
        assert!(MountOptions::parse([]).unwrap().implicit_dirs);
        assert!(!MountOptions::parse(["implicit-dirs=false"]).unwrap().implicit_dirs);
        for (option, complaint) in [
            ("only-dir:agent", "unknown flag: --only-dir:agent"),
            ("colour=red", "unknown flag: --colour"),
            ("file-mode=999", "invalid argument \"999\" for \"--file-mode\" flag: parse error"),
            ("uid", "flag needs an argument: --uid"),
            ("metadata-cache-ttl-secs", "flag needs an argument: --metadata-cache-ttl-secs"),
            (
                "metadata-cache-ttl-secs=-2",
                "invalid argument \"-2\" for \"--metadata-cache-ttl-secs\" flag: invalid syntax",
            ),
        ] {
            assert_eq!(MountOptions::parse([option]).unwrap_err(), complaint);
        }
    }
}

//! `mountOptions` of a share: those of the kernel's SMB client.

/// What they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountOptions {
    /// Mode of all files.
    pub file_mode: u32,
    /// Mode of all folders.
    pub dir_mode: u32,
    /// Owner of all.
    pub uid: u32,
    /// Group of all.
    pub gid: u32,
    /// Symbolic links are files of a form of their own; without, there are none.
    pub symlinks: bool,
    /// Nothing can be written.
    pub read_only: bool,
}

/// Switches that change speed or locks alone; locks are this machine's here, as `nobrl` has them.
const SWITCHES: &[&str] = &[
    "nobrl",
    "brl",
    "rw",
    "nosharesock",
    "sharesock",
    "serverino",
    "noserverino",
    "noperm",
    "perm",
    "forceuid",
    "forcegid",
    "noforceuid",
    "noforcegid",
    "nostrictsync",
    "strictsync",
    "mapposix",
    "nomapposix",
    "mapchars",
    "nocase",
    "soft",
    "hard",
    "noacl",
    "nouser_xattr",
    "user_xattr",
    "nodfs",
    "persistenthandles",
    "nopersistenthandles",
    "resilienthandles",
    "multichannel",
    "noatime",
    "relatime",
];
/// Options with a value, likewise.
const VALUES: &[&str] = &[
    "cache",
    "actimeo",
    "acregmax",
    "acdirmax",
    "vers",
    "sec",
    "rsize",
    "wsize",
    "bsize",
    "max_channels",
    "handletimeout",
    "echo_interval",
    "closetimeo",
    "retrans",
];

impl MountOptions {
    /// Reads a volume's options.
    ///
    /// # Errors
    /// The mount's complaint.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parsed =
            Self { file_mode: 0o777, dir_mode: 0o777, uid: 0, gid: 0, symlinks: false, read_only: false };
        for option in text.split(',').map(str::trim).filter(|option| !option.is_empty()) {
            let bad = || format!("mount error(22): Invalid argument: {option}");
            let octal =
                |text: &str| u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777).ok_or_else(bad);
            let number = |text: &str| text.parse().map_err(|_| bad());
            match option.split_once('=') {
                Some(("file_mode", mode)) => parsed.file_mode = octal(mode)?,
                Some(("dir_mode", mode)) => parsed.dir_mode = octal(mode)?,
                Some(("uid", id)) => parsed.uid = number(id)?,
                Some(("gid", id)) => parsed.gid = number(id)?,
                Some((name, value)) if VALUES.contains(&name) && !value.is_empty() => {}
                None if option == "mfsymlinks" => parsed.symlinks = true,
                None if option == "ro" => parsed.read_only = true,
                None if SWITCHES.contains(&option) => {}
                _ => return Err(bad()),
            }
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_of_volumes_are_read() {
        let parsed =
            MountOptions::parse("dir_mode=0755,file_mode=0644, uid=7,gid=8,mfsymlinks,nobrl,cache=strict")
                .unwrap();
        let wanted = MountOptions {
            file_mode: 0o644,
            dir_mode: 0o755,
            uid: 7,
            gid: 8,
            symlinks: true,
            read_only: false,
        };
        assert_eq!(parsed, wanted);
        assert!(!MountOptions::parse("").unwrap().symlinks);
        for bad in ["colour=red", "uid=x", "file_mode=999", "mfsymlinks=1", "uid"] {
            assert!(MountOptions::parse(bad).unwrap_err().contains("mount error(22)"), "{bad}");
        }
    }
}

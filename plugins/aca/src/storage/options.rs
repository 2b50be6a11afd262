//! A volume's options: those of the mount (CIFS), and the share's size, as `docker volume create -o NAME=VALUE` gives them.

use sockerless_plugin_sdk::{Error, Label, Result};

use crate::limits;

/// What a volume gets unless its options say otherwise: every user may write and execute, symbolic links work between
/// containers, and byte-range locks, which the server would keep for a container that is gone, stay local.
const DEFAULTS: [(&str, &str); 4] =
    [("dir_mode", "0777"), ("file_mode", "0777"), ("mfsymlinks", "on"), ("nobrl", "on")];

/// What a value has to be.
#[derive(Clone, Copy)]
enum Kind {
    /// `0` to `0777`.
    Mode,
    /// A user or group.
    Id,
    /// Seconds.
    Number,
    /// `on` or `off`.
    Flag,
    /// How freely the client caches.
    Cache,
}

/// The options that a user may set.
const KNOWN: [(&str, Kind); 8] = [
    ("dir_mode", Kind::Mode),
    ("file_mode", Kind::Mode),
    ("mfsymlinks", Kind::Flag),
    ("nobrl", Kind::Flag),
    ("uid", Kind::Id),
    ("gid", Kind::Id),
    ("actimeo", Kind::Number),
    ("cache", Kind::Cache),
];

/// The option with the share's size in gibibytes.
const QUOTA: &str = "quota";

/// `mountOptions` of the agent's folder: files can be executed, and what is there never changes.
pub const BLOBS: &str = "dir_mode=0755,file_mode=0755,actimeo=30";

/// The `mountOptions` of a volume.
///
/// # Errors
/// `invalid-argument` for an option that there is none of, or that has no such value.
pub fn mount_options(options: &[Label]) -> Result<String> {
    for (name, value) in options.iter().filter(|(name, _)| name != QUOTA) {
        let Some((_, kind)) = KNOWN.iter().find(|(known, _)| known == name) else {
            let known = KNOWN.map(|(name, _)| name).join(", ");
            return Err(Error::invalid(format!(
                "a volume on Container Apps has no option {name:?}; it has {known}, {QUOTA}"
            )));
        };
        let (good, wanted) = match kind {
            Kind::Mode => (
                value.len() <= 4 && u32::from_str_radix(value, 8).is_ok_and(|mode| mode <= 0o777),
                "an octal mode like 0755",
            ),
            Kind::Id => (value.parse::<u32>().is_ok(), "a numeric id"),
            Kind::Number => (value.parse::<u32>().is_ok(), "a number of seconds"),
            Kind::Flag => (matches!(value.as_str(), "on" | "off"), "on or off"),
            Kind::Cache => (matches!(value.as_str(), "none" | "strict" | "loose"), "none, strict or loose"),
        };
        if !good {
            return Err(Error::invalid(format!(
                "the volume's option {name} should be {wanted}, but is {value:?}"
            )));
        }
    }
    quota(options)?;
    let set = |name: &str| options.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let written = KNOWN.iter().filter_map(|(name, kind)| {
        let default = DEFAULTS.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        let value = set(name).or(default)?;
        match kind {
            Kind::Flag => (value == "on").then(|| (*name).to_owned()),
            _ => Some(format!("{name}={value}")),
        }
    });
    Ok(written.collect::<Vec<_>>().join(","))
}

/// The share's size in gibibytes, if it is asked for.
///
/// # Errors
/// `invalid-argument` for what is no size that a share can have.
pub fn quota(options: &[Label]) -> Result<Option<u64>> {
    let Some((_, value)) = options.iter().rfind(|(name, _)| name == QUOTA) else { return Ok(None) };
    let (least, most) = limits::QUOTA_GIB;
    match value.parse() {
        Ok(size) if (least..=most).contains(&size) => Ok(Some(size)),
        _ => Err(Error::invalid(format!(
            "the volume's option {QUOTA} should be {least} to {most} (gibibytes), but is {value:?}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use sockerless_plugin_sdk::ErrorCode;

    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Result<String> {
        mount_options(
            &pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn options_take_the_place_of_defaults() {
        assert_eq!(given(&[]).unwrap(), "dir_mode=0777,file_mode=0777,mfsymlinks,nobrl");
        assert_eq!(
            given(&[("uid", "7"), ("file_mode", "0644"), ("nobrl", "off"), ("quota", "100")]).unwrap(),
            "dir_mode=0777,file_mode=0644,mfsymlinks,uid=7"
        );
    }

    #[test]
    fn what_is_no_option_is_refused_with_those_that_are() {
        for (name, value) in [
            ("password", "x"),
            ("file_mode", "999"),
            ("uid", "root"),
            ("cache", "x,username=y"),
            ("nobrl", "1"),
            ("quota", "0"),
        ] {
            let error = given(&[(name, value)]).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidArgument);
            assert!(error.message.contains(name), "{error:?}");
        }
    }
}

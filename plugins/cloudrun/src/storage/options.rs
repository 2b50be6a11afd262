//! A volume's options: flags of gcsfuse, as `docker volume create -o FLAG=VALUE` gives them.

use sockerless_plugin_sdk::{Error, Label, Result};

/// What a volume gets unless its options say otherwise. A bucket keeps neither owners nor modes, so that every user may
/// write and execute; what another container writes is seen a second later, not a minute (gcsfuse's own default), and a new
/// name at once; a folder may be renamed, object by object.
const DEFAULTS: [(&str, &str); 5] = [
    ("file-mode", "777"),
    ("dir-mode", "777"),
    ("metadata-cache-ttl-secs", "1"),
    ("metadata-cache-negative-ttl-secs", "0"),
    ("rename-dir-limit", "10000"),
];

/// What a value has to be.
#[derive(Clone, Copy)]
enum Kind {
    /// `0` to `777`.
    Mode,
    /// A user or group.
    Id,
    /// Seconds or a size; -1 is for ever, or without limit.
    Number,
}

/// The flags that a user may set: those that change look, freshness and memory.
const KNOWN: [(&str, Kind); 10] = [
    ("uid", Kind::Id),
    ("gid", Kind::Id),
    ("file-mode", Kind::Mode),
    ("dir-mode", Kind::Mode),
    ("metadata-cache-ttl-secs", Kind::Number),
    ("metadata-cache-negative-ttl-secs", Kind::Number),
    ("kernel-list-cache-ttl-secs", Kind::Number),
    ("stat-cache-max-size-mb", Kind::Number),
    ("type-cache-max-size-mb", Kind::Number),
    ("rename-dir-limit", Kind::Number),
];

/// The flags of a volume's mount, without their hyphens.
///
/// # Errors
/// `invalid-argument` for an option that is no such flag, or has no such value.
pub fn flags(options: &[Label]) -> Result<Vec<String>> {
    for (name, value) in options {
        let Some((_, kind)) = KNOWN.iter().find(|(known, _)| known == name) else {
            let known = KNOWN.map(|(name, _)| name).join(", ");
            return Err(Error::invalid(format!(
                "a volume on Cloud Run has no option {name:?}; it has {known}"
            )));
        };
        let good = match kind {
            Kind::Mode => value.len() <= 4 && u32::from_str_radix(value, 8).is_ok_and(|mode| mode <= 0o777),
            Kind::Id => value.parse::<u32>().is_ok(),
            Kind::Number => value.parse::<i64>().is_ok_and(|number| number >= -1),
        };
        if !good {
            let wanted = match kind {
                Kind::Mode => "an octal mode like 755",
                Kind::Id => "a numeric id",
                Kind::Number => "a number, or -1 for no limit",
            };
            return Err(Error::invalid(format!(
                "the volume's option {name} should be {wanted}, but is {value:?}"
            )));
        }
    }
    let set = |name: &str| options.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let defaults = DEFAULTS.iter().map(|(name, value)| (*name, set(name).unwrap_or(value)));
    let others = KNOWN.iter().filter(|(name, _)| !DEFAULTS.iter().any(|(default, _)| default == name));
    let others = others.filter_map(|(name, _)| Some((*name, set(name)?)));
    Ok(defaults.chain(others).map(|(name, value)| format!("{name}={value}")).collect())
}

#[cfg(test)]
mod tests {
    use sockerless_plugin_sdk::ErrorCode;

    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Result<Vec<String>> {
        flags(
            &pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn options_take_the_place_of_defaults() {
        let flags = given(&[("uid", "7"), ("file-mode", "644"), ("metadata-cache-ttl-secs", "-1")]).unwrap();
        assert_eq!(
            flags,
            [
                "file-mode=644",
                "dir-mode=777",
                "metadata-cache-ttl-secs=-1",
                "metadata-cache-negative-ttl-secs=0",
                "rename-dir-limit=10000",
                "uid=7"
            ]
        );
    }

    #[test]
    fn what_is_no_flag_is_refused_with_those_that_are() {
        for (name, value) in
            [("only-dir", "x"), ("file-mode", "999"), ("uid", "root"), ("file-mode", "7,uid=0")]
        {
            let error = given(&[(name, value)]).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidArgument);
            assert!(error.message.contains(name), "{error:?}");
        }
    }
}

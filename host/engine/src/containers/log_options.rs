//! `--log-driver` and `--log-opt`. The log is the store's whatever the driver: a driver says how large it may get, and
//! whether `docker logs` reads it.

use std::collections::HashMap;

use bollard_stubs::models::HostConfigLogConfig;
use sockerless_ports::logs::Bounds;

use super::spec::Spec;
use crate::{Error, ErrorKind, Result, tuning};

/// Options that every driver has.
const COMMON: [&str; 2] = ["mode", "max-buffer-size"];

/// Options of the driver `json-file`.
const JSON_FILE: [&str; 8] =
    ["max-file", "max-size", "compress", "labels", "labels-regex", "env", "env-regex", "tag"];

/// Options of the driver `local`.
const LOCAL: [&str; 3] = ["max-file", "max-size", "compress"];

/// What dockerd looks at when a container is created. Errors: 400.
pub(super) fn check(config: Option<&HostConfigLogConfig>) -> Result<()> {
    let Some(config) = config else { return Ok(()) };
    let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
    let driver = config.typ.as_deref().unwrap_or_default();
    let known: &[&str] = match driver {
        "json-file" => &JSON_FILE,
        "local" => &LOCAL,
        // It takes and forgets them.
        "none" => return Ok(()),
        other => return invalid(format!("logger: no log driver named '{other}' is registered")),
    };
    let options = config.config.iter().flatten().collect::<HashMap<_, _>>();
    let get = |name: &str| options.get(&name.to_owned()).map(|value| value.as_str());
    let mode = get("mode").unwrap_or_default();
    if !["", "blocking", "non-blocking"].contains(&mode) {
        return invalid(format!("logger: logging mode not supported: {mode}"));
    }
    if let Some(size) = get("max-buffer-size") {
        if mode != "non-blocking" {
            let message = "logger: max-buffer-size option is only supported with 'mode=non-blocking'";
            return invalid(message.into());
        }
        if self::size(size).is_none() {
            return invalid(format!("error parsing option max-buffer-size: invalid size: '{size}'"));
        }
    }
    let mut names: Vec<&String> = options.keys().copied().collect();
    names.sort();
    match names.into_iter().find(|name| !COMMON.contains(&name.as_str()) && !known.contains(&name.as_str())) {
        Some(name) if driver == "local" => invalid(format!("unknown log opt '{name}' for log driver local")),
        Some(name) => invalid(format!("unknown log opt '{name}' for {driver} log driver")),
        None => Ok(()),
    }
}

/// How large the container's log may get; none for as large as it gets. What dockerd looks at when a container is started.
/// Errors: 500, as there.
pub(crate) fn bounds(spec: &Spec) -> Result<Option<Bounds>> {
    let options = spec.host.log_config.as_ref().and_then(|config| config.config.as_ref());
    let get = |name: &str| options.and_then(|options| options.get(name)).map(String::as_str);
    let bounds = match spec.log_driver() {
        "local" => local(get),
        // What nobody reads later is a buffer for those who are attached.
        "none" => Ok(Some(tuning::LOG_BUFFER)),
        _ => json_file(get),
    };
    bounds
        .map_err(|why| Error::new(ErrorKind::Internal, format!("failed to initialize logging driver: {why}")))
}

fn json_file<'a>(get: impl Fn(&str) -> Option<&'a str>) -> std::result::Result<Option<Bounds>, String> {
    let file_bytes = match get("max-size") {
        Some(text) => match size(text).ok_or_else(|| format!("invalid size: '{text}'"))? {
            0 => return Err("max-size must be a positive number".into()),
            size => Some(size),
        },
        None => None,
    };
    let files = match get("max-file") {
        Some(text) => number(text)?,
        None => 1,
    };
    if files < 1 {
        return Err("max-file cannot be less than 1".into());
    }
    let compress = get("compress").map(boolean).transpose()?.unwrap_or(false);
    if compress && (files == 1 || file_bytes.is_none()) {
        let message = "compress cannot be true when max-file is less than 2 or max-size is not set";
        return Err(message.into());
    }
    Ok(file_bytes.map(|file_bytes| bounded(file_bytes, files)))
}

fn local<'a>(get: impl Fn(&str) -> Option<&'a str>) -> std::result::Result<Option<Bounds>, String> {
    let file_bytes = match get("max-size") {
        Some(text) => {
            size(text).ok_or_else(|| format!("invalid value for max-size: {text}: invalid size: '{text}'"))?
        }
        None => tuning::LOCAL_LOG.file_bytes,
    };
    let files = match get("max-file") {
        Some(text) => number(text).map_err(|why| format!("invalid value for max-file: {text}: {why}"))?,
        None => i64::try_from(tuning::LOCAL_LOG.files).unwrap_or(i64::MAX),
    };
    let compress = get("compress").map(boolean).transpose();
    let compress = compress.map_err(|why| format!("error reading compress log option: {why}"))?;
    if files <= 1 && compress.unwrap_or(true) {
        return Err("compression cannot be enabled when max file count is 1".into());
    }
    // As there: without a size nothing is ever full.
    Ok((file_bytes > 0).then(|| bounded(file_bytes, files)))
}

fn bounded(file_bytes: u64, files: i64) -> Bounds {
    Bounds { file_bytes, files: usize::try_from(files).unwrap_or(1).max(1) }
}

/// Go's `strconv.Atoi`.
fn number(text: &str) -> std::result::Result<i64, String> {
    text.parse().map_err(|_| format!("strconv.Atoi: parsing {text:?}: invalid syntax"))
}

/// Go's `strconv.ParseBool`.
fn boolean(text: &str) -> std::result::Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

/// A size as people write it: `10`, `1.5m`, `10 kB`, `10kib`; the units are powers of 1000, as in dockerd's log drivers.
fn size(text: &str) -> Option<u64> {
    let digits = text.find(|character: char| !character.is_ascii_digit() && character != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let unit = unit.strip_suffix('i').unwrap_or(unit);
    let factor = match unit {
        "" => 1.0,
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        "t" => 1e12,
        "p" => 1e15,
        _ => return None,
    };
    if !number.starts_with(|character: char| character.is_ascii_digit()) {
        return None;
    }
    let bytes = number.parse::<f64>().ok()? * factor;
    // What is too large for a number is larger than any disk.
    Some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn options<'a>(all: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<&'a str> + 'a {
        move |name| all.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    fn checked(driver: &str, all: &[(&str, &str)]) -> Result<()> {
        let config = all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        check(Some(&HostConfigLogConfig { typ: Some(driver.into()), config: Some(config) }))
    }

    #[test]
    fn unknown_drivers_and_options_are_refused_by_name() {
        for (driver, all, words) in [
            ("syslog", &[][..], "logger: no log driver named 'syslog' is registered"),
            ("json-file", &[("bogus", "1")][..], "unknown log opt 'bogus' for json-file log driver"),
            ("local", &[("labels", "1")][..], "unknown log opt 'labels' for log driver local"),
            ("json-file", &[("mode", "foo")][..], "logger: logging mode not supported: foo"),
            (
                "local",
                &[("max-buffer-size", "1m")][..],
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
            ),
            (
                "local",
                &[("max-buffer-size", "x"), ("mode", "non-blocking")][..],
                "error parsing option max-buffer-size: invalid size: 'x'",
            ),
        ] {
            let error = checked(driver, all).unwrap_err();
            assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Invalid, words));
        }
        assert_eq!(checked("json-file", &[("max-size", "x"), ("mode", "blocking"), ("tag", "t")]), Ok(()));
        assert_eq!(checked("none", &[("bogus", "1")]), Ok(()));
    }

    #[test]
    fn values_are_read_as_dockerd_reads_them() {
        let bounds = |all| json_file(options(all)).unwrap();
        assert_eq!(bounds(&[]), None);
        assert_eq!(bounds(&[("max-file", "3")]), None);
        assert_eq!(bounds(&[("max-size", "10k")]), Some(Bounds { file_bytes: 10_000, files: 1 }));
        let compressed = [("max-size", "1.5m"), ("max-file", "2"), ("compress", "true")];
        assert_eq!(bounds(&compressed), Some(Bounds { file_bytes: 1_500_000, files: 2 }));
        assert_eq!(local(options(&[])).unwrap(), Some(Bounds { file_bytes: 20_000_000, files: 5 }));
        assert_eq!(local(options(&[("max-size", "0")])).unwrap(), None);
    }

    #[test]
    fn what_dockerd_does_not_understand_is_told_in_its_words() {
        for (all, words) in [
            (&[("max-size", "x")][..], "invalid size: 'x'"),
            (&[("max-size", "")][..], "invalid size: ''"),
            (&[("max-size", "0")][..], "max-size must be a positive number"),
            (&[("max-file", "x")][..], "strconv.Atoi: parsing \"x\": invalid syntax"),
            (&[("max-file", "0")][..], "max-file cannot be less than 1"),
            (&[("compress", "maybe")][..], "strconv.ParseBool: parsing \"maybe\": invalid syntax"),
            (
                &[("compress", "true")][..],
                "compress cannot be true when max-file is less than 2 or max-size is not set",
            ),
        ] {
            assert_eq!(json_file(options(all)).unwrap_err(), words);
        }
        for (all, words) in [
            (&[("max-size", "x")][..], "invalid value for max-size: x: invalid size: 'x'"),
            (&[("max-file", "1")][..], "compression cannot be enabled when max file count is 1"),
            (
                &[("compress", "x")][..],
                "error reading compress log option: strconv.ParseBool: parsing \"x\": invalid syntax",
            ),
        ] {
            assert_eq!(local(options(all)).unwrap_err(), words);
        }
    }

    #[test]
    fn sizes_are_what_people_write() {
        for (text, bytes) in [
            ("0", 0),
            ("7", 7),
            ("10 kb", 10_000),
            ("10kib", 10_000),
            ("2G", 2_000_000_000),
            ("1.5m", 1_500_000),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "-1", "k", ".5m", "10q", "1.2.3k", "1  k"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_size_is_a_panic(text in ".{0,12}") {
            size(&text);
        }
    }
}

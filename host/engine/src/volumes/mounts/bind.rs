//! `-v SOURCE:DESTINATION[:MODE]`.

use super::{Mounted, Source, clean, destination, invalid};
use crate::{Error, ErrorKind, Result, volumes::name};

/// Words that may stand in a mode; the ones about labels and propagation mean nothing in a cloud's job, as on a
/// machine without SELinux.
const MODES: [&str; 16] = [
    "ro",
    "rw",
    "z",
    "Z",
    "nocopy",
    "copy",
    "consistent",
    "cached",
    "delegated",
    "shared",
    "slave",
    "private",
    "rshared",
    "rslave",
    "rprivate",
    "default",
];

/// Errors: 400 in dockerd's words.
pub(super) fn parse(spec: &str) -> Result<Mounted> {
    let parts: Vec<&str> = spec.split(':').collect();
    let (source, target, mode) = match parts[..] {
        [target] if !target.is_empty() => {
            return Ok(Mounted::anonymous(destination(target).map_err(|why| invalid(spec, &why))?));
        }
        [source, target] => (source, target, ""),
        [source, target, mode] => (source, target, mode),
        _ => return Err(invalid(spec, "")),
    };
    if source.is_empty() || target.is_empty() {
        return Err(invalid(spec, ""));
    }
    let target = destination(target).map_err(|why| invalid(spec, &why))?;
    let has = |word: &str| mode.split(',').any(|part| part == word);
    let unknown = mode.split(',').any(|part| !mode.is_empty() && !MODES.contains(&part));
    let contradicts = has("ro") && has("rw");
    if unknown || contradicts || (!mode.is_empty() && mode.split(',').any(str::is_empty)) {
        return Err(Error::new(ErrorKind::Invalid, format!("invalid mode: {mode}")));
    }
    let source = if source.starts_with('/') {
        Source::Bind(clean(source))
    } else {
        name::check(source).map_err(|error| error.prefixed(&format!("create {source}")))?;
        Source::Volume(source.to_owned())
    };
    Ok(Mounted {
        copy: matches!(source, Source::Volume(_)) && !has("nocopy"),
        source,
        destination: target,
        read_only: has("ro"),
        mode: mode.to_owned(),
        subpath: None,
        real: None,
    })
}

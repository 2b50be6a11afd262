//! `--mount type=…`.

use bollard_stubs::models::{Mount, MountTypeEnum};

use super::{Mounted, Source, clean, destination};
use crate::{Error, ErrorKind, Result, volumes::name};

/// None for a memory file system, which is no mount of this kind. Errors: 400 in dockerd's words, 501 for types that a cloud's job cannot have.
pub(super) fn read(mount: &Mount) -> Result<Option<Mounted>> {
    let typ = mount.typ.unwrap_or(MountTypeEnum::EMPTY);
    let target = mount.target.as_deref().unwrap_or_default();
    let source = mount.source.as_deref().unwrap_or_default();
    let fault = |why: &str| {
        let message = format!("invalid mount config for type \"{typ}\": {why}");
        Error::new(ErrorKind::Invalid, message)
    };
    if typ == MountTypeEnum::TMPFS {
        return Ok(None);
    }
    if !matches!(typ, MountTypeEnum::VOLUME | MountTypeEnum::BIND) {
        let message =
            format!("mounts of type {typ} are not available: a cloud's job has volumes, binds and tmpfs");
        return Err(match typ {
            MountTypeEnum::EMPTY => Error::new(ErrorKind::Invalid, "mount type unknown: \"\""),
            _ => Error::new(ErrorKind::Unsupported, message),
        });
    }
    if target.is_empty() {
        return Err(fault("field Target must not be empty"));
    }
    let destination = destination(target).map_err(|why| fault(&format!("invalid specification: {why}")))?;
    let options = mount.volume_options.as_ref();
    let (source, copy, subpath) = if typ == MountTypeEnum::BIND {
        if source.is_empty() {
            return Err(fault("field Source must not be empty"));
        }
        if !source.starts_with('/') {
            return Err(fault(&format!("invalid mount path: '{source}' mount path must be absolute")));
        }
        if options.is_some() {
            return Err(fault("field VolumeOptions must not be specified"));
        }
        (Source::Bind(clean(source)), false, None)
    } else {
        if mount.bind_options.is_some() {
            return Err(fault("field BindOptions must not be specified"));
        }
        let copy = !options.and_then(|options| options.no_copy).unwrap_or_default();
        let subpath = options.and_then(|options| options.subpath.clone()).filter(|path| !path.is_empty());
        if source.is_empty() {
            if subpath.is_some() {
                return Err(fault("must not set Subpath when using anonymous volumes"));
            }
            let own =
                Mounted { read_only: mount.read_only.unwrap_or_default(), ..Mounted::anonymous(destination) };
            return Ok(Some(own));
        } else {
            name::check(source).map_err(|error| fault(&error.message))?;
            if let Some(path) = &subpath
                && (path.starts_with('/') || path.split('/').any(|part| part == ".."))
            {
                return Err(fault("subpath must be a relative path within the volume"));
            }
            (Source::Volume(source.to_owned()), copy, subpath)
        }
    };
    let read_only = mount.read_only.unwrap_or_default();
    Ok(Some(Mounted { source, destination, read_only, mode: String::new(), copy, subpath, real: None }))
}

/// Whether it is a memory file system at this path.
pub(super) fn is_memory_at(mount: &Mount, path: &str) -> bool {
    mount.typ == Some(MountTypeEnum::TMPFS)
        && mount.target.as_deref().is_some_and(|target| clean(target) == path)
}

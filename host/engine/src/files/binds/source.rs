//! Which paths of the daemon's machine may be mounted, and what is mounted there.

use std::{
    fs,
    io::{self, Read},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use super::{
    disk::{self, Disk, Opened},
    ignore::Ignore,
    scan::Scope,
};
use crate::{BindOptions, Error, ErrorKind, Result, containers::Spec, tuning, volumes::Mounted};

/// Patterns of what stays at home, with commas or line ends between them.
const LABEL_EXCLUDE: &str = "sockerless.binds.exclude";
/// A file in the directory that has such patterns.
const LABEL_IGNORE: &str = "sockerless.binds.ignore";

/// What shows the machine, and is no file of the user's.
const MACHINE: [&str; 3] = ["/dev", "/proc", "/sys"];

/// What decides whether a path may be mounted.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub options: BindOptions,
    /// The daemon's own folder.
    pub state: PathBuf,
}

/// A path that a container was created with.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub source: PathBuf,
    /// Made when it is not there, as for `-v`; not so for `--mount`.
    pub makes: bool,
    /// Where it led when the container was created: it leads nowhere else afterwards.
    pub real: Option<PathBuf>,
}

impl Rules {
    /// Where a path leads that a container is created with, as far as it is there already.
    ///
    /// Errors: 400 in dockerd's words for what has to be there, 403 for what may not be mounted, 501 for what cannot be copied.
    pub fn check(&self, wanted: &Wanted) -> Result<PathBuf> {
        let source = &wanted.source;
        match fs::metadata(source) {
            Ok(meta) if !meta.is_dir() && !meta.is_file() => {
                self.permit(source, &real(source)?)?;
                return Err(neither(source));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && wanted.makes => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing(source)),
            Err(error) => return Err(unseen(source, &error)),
        }
        let real = real(source)?;
        self.permit(source, &real)?;
        Ok(real)
    }

    /// Opens what is mounted; a directory is made if that is wanted. `was_file`: what it was when it was sent.
    ///
    /// Errors: those of [`Self::check`]; 403 for what leads elsewhere than when the container was created.
    pub fn open(&self, wanted: &Wanted, was_file: Option<bool>) -> Result<Opened> {
        let source = &wanted.source;
        let now = real(source)?;
        let then = wanted.real.as_ref().unwrap_or(&now);
        if *then != now {
            let message = format!(
                "it leads to {} now and led to {} when the container was created: nothing is taken there or back",
                now.display(),
                then.display(),
            );
            return Err(Error::new(ErrorKind::Forbidden, message));
        }
        self.permit(source, then)?;
        let makes = wanted.makes && was_file != Some(true);
        let opened = Opened::open(then, was_file, makes).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => missing(source),
            io::ErrorKind::Unsupported => neither(source),
            // It was looked at a moment ago.
            _ if disk::leads_elsewhere(&error) => {
                let message =
                    format!("a link is on the way to {} now: nothing is taken there or back", then.display());
                Error::new(ErrorKind::Forbidden, message)
            }
            _ if makes => {
                let message =
                    format!("error while creating mount source path '{}': {error}", source.display());
                Error::new(ErrorKind::Internal, message)
            }
            _ => unseen(source, &error),
        })?;
        match was_file {
            Some(was_file) if was_file != opened.is_file() => {
                let kind = |is_file| if is_file { "a file" } else { "a directory" };
                let message = format!(
                    "{} is {} now and was {} when it was sent: nothing is taken there or back",
                    source.display(),
                    kind(opened.is_file()),
                    kind(was_file),
                );
                Err(Error::new(ErrorKind::Forbidden, message))
            }
            _ => Ok(opened),
        }
    }

    fn permit(&self, source: &Path, real: &Path) -> Result<()> {
        let refuse = |why: String| {
            Err(Error::new(ErrorKind::Forbidden, format!("bind mount {}: {why}", source.display())))
        };
        if real == Path::new("/") {
            return refuse("the whole file system of this machine cannot be taken to the cloud".into());
        }
        if let Some(folder) = MACHINE.iter().find(|folder| real.starts_with(folder)) {
            return refuse(format!("{folder} shows this machine, which the container does not run on"));
        }
        let state = self.state.canonicalize().unwrap_or_else(|_| self.state.clone());
        if real.starts_with(&state) {
            return refuse("the daemon's own state is there".into());
        }
        let allowed = |root: &PathBuf| real.starts_with(root.canonicalize().as_ref().unwrap_or(root));
        if !self.options.allow.iter().any(allowed) {
            let roots: Vec<_> = self.options.allow.iter().map(|root| root.display().to_string()).collect();
            return refuse(format!(
                "the operator permits only what is below {} (`allow` in `[binds]`)",
                if roots.is_empty() { "nothing".to_owned() } else { roots.join(", ") }
            ));
        }
        Ok(())
    }

    /// All that belongs to a mount of a container. `was_file`: as for [`Self::open`].
    ///
    /// Errors: as for [`Self::open`]; 400 for patterns that cannot be read.
    pub fn scope(
        &self,
        wanted: &Wanted,
        was_file: Option<bool>,
        spec: &Spec,
        mounted: &Mounted,
    ) -> Result<Scope> {
        let root = Arc::new(self.open(wanted, was_file)?);
        let mut except = others(spec, mounted);
        // A home directory may have the daemon's state in it.
        let state = self.state.canonicalize().unwrap_or_else(|_| self.state.clone());
        except
            .extend(state.strip_prefix(root.path()).ok().map(|below| below.as_os_str().as_bytes().to_vec()));
        let ignore = if root.is_file() { Ignore::default() } else { self.ignore(spec, &root)? };
        let file = spec.label(LABEL_IGNORE).unwrap_or(&self.options.ignore);
        let ignore_file = inside(file).filter(|_| !root.is_file());
        Ok(Scope { root, ignore, ignore_file, except, tag: spec.short_id().to_owned() })
    }

    fn ignore(&self, spec: &Spec, root: &Arc<Opened>) -> Result<Ignore> {
        let read = |text: &str, of: &str| {
            Ignore::parse(text).map_err(|pattern| {
                Error::new(ErrorKind::Invalid, format!("{of}: syntax error in pattern: {pattern:?}"))
            })
        };
        let name = spec.label(LABEL_IGNORE);
        let file = name.unwrap_or(&self.options.ignore);
        let mut ignore = Ignore::default();
        if !file.is_empty() {
            let path = inside(file).ok_or_else(|| {
                let words =
                    format!("{LABEL_IGNORE}={file}: expected the path of a file within the directory");
                Error::new(ErrorKind::Invalid, words)
            })?;
            let shown = root.path().join(file);
            match read_small(root, &path) {
                Ok(text) => ignore = read(&text, &shown.display().to_string())?,
                // The usual one need not be there; one that is named has to.
                Err(error) if error.kind() == io::ErrorKind::NotFound && name.is_none() => {}
                Err(error) => {
                    return Err(Error::new(ErrorKind::Internal, format!("{}: {error}", shown.display())));
                }
            }
        }
        let patterns = spec.label(LABEL_EXCLUDE).unwrap_or_default().replace(',', "\n");
        Ok(ignore.and(read(&patterns, LABEL_EXCLUDE)?))
    }
}

/// Errors of labels, told before the container exists.
pub(super) fn check_labels(spec: &Spec) -> Result<()> {
    let patterns = spec.label(LABEL_EXCLUDE).unwrap_or_default().replace(',', "\n");
    let read = Ignore::parse(&patterns).map(drop);
    read.map_err(|pattern| {
        Error::new(ErrorKind::Invalid, format!("{LABEL_EXCLUDE}: syntax error in pattern: {pattern:?}"))
    })
}

/// What else is mounted within a mount, from that on.
fn others(spec: &Spec, mounted: &Mounted) -> Vec<Vec<u8>> {
    let memory = spec.host.tmpfs.iter().flatten().map(|(path, _)| path.as_str());
    let typed = spec.host.mounts.iter().flatten().filter_map(|mount| mount.target.as_deref());
    let kept = spec.mounts.iter().map(|other| other.destination.as_str());
    memory
        .chain(typed)
        .chain(kept)
        .filter_map(|path| path.strip_prefix(&mounted.destination)?.strip_prefix('/'))
        .map(|path| path.trim_end_matches('/').as_bytes().to_vec())
        .filter(|path| !path.is_empty())
        .collect()
}

/// A path within a directory, as a list has it; none for one that leads out.
fn inside(relative: &str) -> Option<Vec<u8>> {
    let mut inside = PathBuf::new();
    for part in Path::new(relative).components() {
        match part {
            Component::Normal(part) => inside.push(part),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(inside.into_os_string().into_vec()).filter(|path| !path.is_empty())
}

/// A container may have written there: no link is followed, and nothing but a file of a bounded size is read.
fn read_small(root: &Arc<Opened>, relative: &[u8]) -> io::Result<String> {
    let mut disk = Disk::new(Arc::clone(root), "");
    let Some((file, _)) = disk.read(relative)? else {
        return Err(match disk.look(relative)? {
            Some(_) => io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"),
            None => io::ErrorKind::NotFound.into(),
        });
    };
    let mut text = String::new();
    file.take(tuning::SMALL_FILE + 1).read_to_string(&mut text)?;
    match text.len() as u64 > tuning::SMALL_FILE {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(text),
    }
}

/// Where a path leads: links are followed as far as it is there, the rest stands as it is.
pub(super) fn real(source: &Path) -> Result<PathBuf> {
    let (mut above, mut rest) = (source, Vec::new());
    loop {
        match (above.canonicalize(), above.parent(), above.file_name()) {
            (Ok(mut real), ..) => {
                real.extend(rest.into_iter().rev());
                return Ok(real);
            }
            (Err(error), Some(parent), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
                rest.push(name);
                above = parent;
            }
            (Err(error), ..) => return Err(unseen(source, &error)),
        }
    }
}

/// A link leads to where no request could name.
pub(super) fn unnamed(source: &Path) -> Error {
    let message = format!("bind mount {}: the path that it leads to is no UTF-8", source.display());
    Error::new(ErrorKind::Unsupported, message)
}

fn neither(source: &Path) -> Error {
    let message = format!(
        "bind mount {}: it is neither a directory nor a file, and nothing else can be taken to the cloud",
        source.display()
    );
    Error::new(ErrorKind::Unsupported, message)
}

fn missing(source: &Path) -> Error {
    let message = format!(
        "invalid mount config for type \"bind\": bind source path does not exist: {} (on the daemon's machine)",
        source.display()
    );
    Error::new(ErrorKind::Invalid, message)
}

fn unseen(source: &Path, error: &io::Error) -> Error {
    let message = format!("bind mount {}: the daemon cannot see it: {error}", source.display());
    Error::new(ErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests;

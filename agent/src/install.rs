//! What an init container does where no mount brings the agent: this very program goes into a volume that the others have.

use std::{
    ffi::OsString,
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process,
};

use crate::say;

/// The running program, whatever became of its file.
const OWN: &str = "/proc/self/exe";

/// Copies this program to a path: whole or not at all, and for everybody to execute.
///
/// Errors: what is wrong, and what to do about it.
pub fn install(target: Option<OsString>) -> Result<(), String> {
    let target = target.map(PathBuf::from).unwrap_or_default();
    let (Some(folder), Some(name), true) = (target.parent(), target.file_name(), target.is_absolute()) else {
        return Err("install wants one argument, the absolute path of the file to make".to_owned());
    };
    if !folder.is_dir() {
        let folder = folder.display();
        return Err(format!(
            "cannot install: {folder} is no folder; an empty volume has to be mounted there"
        ));
    }
    let unfinished = folder.join(format!(".{}.{}", name.to_string_lossy(), process::id()));
    let done = copy(&unfinished).and_then(|()| fs::rename(&unfinished, &target));
    if let Err(error) = done {
        // It may not have been made at all.
        let _ = fs::remove_file(&unfinished);
        return Err(format!("cannot install {}: {error}{}", target.display(), remedy(&error)));
    }
    // Who shares the volume shall run the agent, not replace it.
    if let Err(error) = fs::set_permissions(folder, Permissions::from_mode(0o755)) {
        say!("others may write to {}: {error}", folder.display());
    }
    Ok(())
}

fn copy(to: &Path) -> io::Result<()> {
    fs::copy(OWN, to)?;
    fs::set_permissions(to, Permissions::from_mode(0o755))
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "; whoever runs this has to be allowed to write there: root is",
        io::ErrorKind::ReadOnlyFilesystem => "; the volume has to be mounted for writing here",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; the volume has to hold this program",
        _ => "",
    }
}

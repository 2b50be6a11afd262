//! Deletes folders whose files belong to users of the namespace.

use std::{ffi::OsString, fs, io, path::PathBuf};

use nix::sched::{CloneFlags, setns};

/// Arguments: the user namespace or `-`, then folders. A folder that is not there is no error.
pub(crate) fn run(mut args: impl Iterator<Item = OsString>) -> io::Result<()> {
    enter_user_namespace(&args.next().unwrap_or_default())?;
    for path in args.map(PathBuf::from) {
        remove_tree(&path)?;
    }
    Ok(())
}

/// `-` stays where it is.
pub(crate) fn enter_user_namespace(path: &OsString) -> io::Result<()> {
    if path != "-" {
        setns(fs::File::open(path)?, CloneFlags::CLONE_NEWUSER)?;
    }
    Ok(())
}

/// Removes a folder with all in it.
pub(crate) fn remove_tree(path: &std::path::Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

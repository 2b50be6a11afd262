//! Finding the program, as the runtime does.

use std::path::Path;

use nix::{
    errno::Errno,
    unistd::{AccessFlags, eaccess},
};

use super::{Failure, errno};

/// The path of `argv[0]`, looked up in the process's own `PATH` and with its own rights.
pub fn program(argv: &[String], env: &[String]) -> Result<String, Failure> {
    let Some(name) = argv.first().filter(|name| !name.is_empty()) else {
        return Err(Failure {
            code: 127,
            message: "exec: \"\": executable file not found in $PATH".to_owned(),
        });
    };
    if name.contains('/') {
        return match executable(Path::new(name)) {
            Ok(()) => Ok(name.clone()),
            Err(Unfit::Stat(errno)) => Err(Failure::new(format!("exec: {name:?}: stat {name}"), errno)),
            Err(Unfit::Execute(errno)) => Err(Failure::new(format!("exec: {name:?}"), errno)),
        };
    }
    let path = env.iter().rev().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or_default();
    for directory in path.split(':').filter(|directory| !directory.is_empty()) {
        let candidate = Path::new(directory).join(name);
        if candidate.is_absolute() && executable(&candidate).is_ok() {
            return Ok(candidate.to_string_lossy().into_owned());
        }
    }
    Err(Failure { code: 127, message: format!("exec: {name:?}: executable file not found in $PATH") })
}

enum Unfit {
    Stat(Errno),
    Execute(Errno),
}

fn executable(path: &Path) -> Result<(), Unfit> {
    let file = std::fs::metadata(path).map_err(|error| Unfit::Stat(errno(&error)))?;
    if file.is_dir() {
        return Err(Unfit::Execute(Errno::EISDIR));
    }
    match eaccess(path, AccessFlags::X_OK) {
        // Some sandboxes do not know the call; then execution itself shows it.
        Ok(()) | Err(Errno::ENOSYS | Errno::EPERM) => Ok(()),
        Err(errno) => Err(Unfit::Execute(errno)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn find(name: &str, path: &str) -> Result<String, (i32, String)> {
        program(&[name.to_owned()], &[format!("PATH={path}")])
            .map_err(|failure| (failure.code, failure.message))
    }

    #[test]
    fn programs_are_found_and_missed_in_the_runtimes_words() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_str().unwrap();
        for (name, mode) in [("good", 0o755), ("bad", 0o644)] {
            let file = folder.path().join(name);
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        }
        assert_eq!(find("good", &format!("/nowhere::{place}")), Ok(format!("{place}/good")));
        assert_eq!(
            find("bad", place),
            Err((127, "exec: \"bad\": executable file not found in $PATH".to_owned()))
        );
        assert_eq!(
            find("good", ""),
            Err((127, "exec: \"good\": executable file not found in $PATH".to_owned()))
        );
        assert_eq!(find("", place), Err((127, "exec: \"\": executable file not found in $PATH".to_owned())));
        let bad = format!("{place}/bad");
        assert_eq!(find(&bad, ""), Err((126, format!("exec: \"{bad}\": permission denied"))));
        assert_eq!(find(place, ""), Err((126, format!("exec: \"{place}\": is a directory"))));
        let none = format!("{place}/none");
        assert_eq!(
            find(&none, ""),
            Err((127, format!("exec: \"{none}\": stat {none}: no such file or directory")))
        );
    }
}

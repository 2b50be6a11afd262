//! The agent brings itself into a volume.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::{Command, Output},
};

const AGENT: &str = env!("CARGO_BIN_EXE_sockerless-agent");

fn install(target: &[&Path]) -> Output {
    // None of an agent's settings: an init container has none.
    Command::new(AGENT).env_clear().arg("install").args(target).output().unwrap()
}

#[test]
fn it_is_there_whole_for_everybody_to_execute_and_nobody_else_may_replace_it() {
    let volume = tempfile::tempdir().unwrap();
    fs::set_permissions(volume.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let target = volume.path().join("sockerless-agent");
    let done = install(&[&target]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(fs::read(&target).unwrap(), fs::read(AGENT).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&target), mode(volume.path())), (0o755, 0o755));
    let version = Command::new(&target).arg("--version").output().unwrap();
    assert!(String::from_utf8(version.stdout).unwrap().starts_with("sockerless-agent "));
}

#[test]
fn it_takes_the_place_of_one_that_runs_and_leaves_nothing_beside_it() {
    let volume = tempfile::tempdir().unwrap();
    let target = volume.path().join("sockerless-agent");
    fs::write(&target, "an older one").unwrap();
    let before = fs::metadata(&target).unwrap().ino();
    assert!(install(&[&target]).status.success());
    // Another file under the name: a program that runs keeps its own.
    assert_ne!(fs::metadata(&target).unwrap().ino(), before);
    assert_eq!(fs::read_dir(volume.path()).unwrap().count(), 1);
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let volume = tempfile::tempdir().unwrap();
    let missing = volume.path().join("missing/sockerless-agent");
    let taken = volume.path().join("taken");
    fs::create_dir(&taken).unwrap();
    for (target, words) in [
        (&[][..], "absolute path"),
        (&[Path::new("sockerless-agent")], "absolute path"),
        (&[missing.as_path()], "an empty volume has to be mounted there"),
        (&[taken.as_path()], "cannot install"),
    ] {
        let done = install(target);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(125), "{said}");
        assert!(said.contains(words) && said.lines().count() == 1, "{said}");
    }
    assert_eq!(fs::read_dir(volume.path()).unwrap().count(), 1, "nothing unfinished stays");
}

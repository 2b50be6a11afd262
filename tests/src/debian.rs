//! What tests take from this machine's Debian (or Ubuntu): a root file system with programs in it, and a package of a newer
//! suite. All is made once and kept below the target folder; what cannot be had is a test that fails.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::dist;

/// The suite that has Compose 2.40.
const NEWER: &str = "forky";
/// Where Debian keeps its keys.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Left out of root file systems: nobody reads it there, and it is half of all. PostgreSQL does without its compiler.
const LEFT_OUT: [&str; 10] = [
    "/usr/share/doc/*",
    "/usr/share/i18n/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    "/usr/lib/llvm-*",
    "/usr/lib/x86_64-linux-gnu/libLLVM*",
    "/usr/lib/x86_64-linux-gnu/libz3*",
    "/usr/lib/postgresql/*/lib/bitcode/*",
    "/usr/lib/postgresql/*/lib/llvmjit*",
];

/// Makes a tar of an installed system: what every Debian has, and these packages. The hook is a shell command whose `$1` is the
/// root's folder, run when all is installed. Takes half a minute.
#[track_caller]
pub fn system(packages: &[&str], hook: &str, tar: &Path) {
    let (mirror, suite) = mirror();
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--variant=essential", "--format=tar"]);
    command.arg(format!("--include={}", packages.join(",")));
    command.args(LEFT_OUT.map(|path| format!("--dpkgopt=path-exclude={path}")));
    command.arg(format!("--customize-hook={hook}"));
    // As Debian's own images: no service is started while packages are installed.
    command.arg("--essential-hook=printf '#!/bin/sh\\nexit 101\\n' > $1/usr/sbin/policy-rc.d; chmod +x $1/usr/sbin/policy-rc.d");
    let components = if suite.ubuntu { "main universe" } else { "main" };
    let source = format!("deb {mirror} {} {components}", suite.name);
    checked(command.arg(&suite.name).arg(tar).arg(source), "it needs the Debian package mmdebstrap");
}

/// The `docker compose` plugin of Debian's package docker-compose 2.40, unpacked and not installed.
#[track_caller]
pub fn compose() -> PathBuf {
    let folder = dist::target().join("compose");
    let program = folder.join("root/usr/libexec/docker/cli-plugins/docker-compose");
    once(&folder, "complete", |complete| {
        let (mirror, suite) = mirror();
        assert!(
            !suite.ubuntu,
            "Compose 2.40 is taken from Debian's {NEWER}; on Ubuntu put it to {} yourself",
            program.display()
        );
        let lists = folder.join("apt");
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(lists.join(part)).expect("the target folder can be written");
        }
        let source = format!("deb [signed-by={KEYRING}] {mirror} {NEWER} main\n");
        fs::write(lists.join("sources.list"), source).expect("the target folder can be written");
        // An apt of its own, so that this machine's stays as it is.
        let apt = |arguments: &[&str]| {
            let mut command = Command::new("apt-get");
            for (option, path) in [
                ("Dir::Etc::SourceList", "sources.list"),
                ("Dir::State::Lists", "lists"),
                ("Dir::Cache", "cache"),
            ] {
                command.arg("-o").arg(format!("{option}={}", lists.join(path).display()));
            }
            let none = [
                "-o",
                "Dir::Etc::SourceParts=/dev/null",
                "-o",
                "Dir::Etc::PreferencesParts=/dev/null",
                "-o",
                "Acquire::Languages=none",
                "-o",
                "APT::Sandbox::User=",
            ];
            checked(
                command.args(none).args(arguments).current_dir(&lists),
                "it needs Debian's apt and its mirror",
            );
        };
        apt(&["update", "-qq"]);
        apt(&["download", "-qq", "docker-compose"]);
        let archive = fs::read_dir(&lists)
            .expect("made above")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"));
        let archive = archive.expect("apt has just put it there");
        checked(
            Command::new("dpkg-deb").arg("--extract").arg(archive).arg(folder.join("root")),
            "it needs dpkg",
        );
        fs::remove_dir_all(&lists).expect("made above");
        fs::write(complete, "").expect("the target folder can be written");
    });
    program.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// Makes a file in a folder unless it is there. Tests run in several threads and processes: one of them makes it.
#[track_caller]
pub fn once(folder: &Path, name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(folder).expect("the target folder can be written");
    let lock = fs::File::create(folder.join(format!(".{name}.lock"))).expect("the folder was made above");
    lock.lock().expect("a file system with locks");
    if !path.exists() {
        make(&path);
    }
    path
}

/// A release of Debian or Ubuntu.
struct Suite {
    name: String,
    ubuntu: bool,
}

/// Where this machine has its packages from, and its release. apt knows mirrors when it has fetched their lists.
#[track_caller]
fn mirror() -> (String, Suite) {
    let release = fs::read_to_string("/etc/os-release").expect("a Linux distribution says what it is");
    let field = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    let suite = Suite { name: field("VERSION_CODENAME"), ubuntu: field("ID") == "ubuntu" };
    let known = || {
        let format = "$(REPO_URI) $(RELEASE)";
        let output = Command::new("apt-get")
            .args(["indextargets", "--format", format, "Created-By: Packages"])
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| {
                panic!("apt-get: {error}: real programs are taken from Debian's packages")
            });
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        lines.lines().find_map(|line| Some(line.strip_suffix(&suite.name)?.trim_end().to_owned()))
    };
    let mirror = known().or_else(|| {
        checked(Command::new("apt-get").args(["update", "-qq"]), "it fetches the list of packages, as root");
        known()
    });
    (mirror.unwrap_or_else(|| panic!("apt has no mirror of {}: look at /etc/apt", suite.name)), suite)
}

/// Runs a command that has to succeed.
#[track_caller]
fn checked(command: &mut Command, needs: &str) {
    let output =
        command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}; {needs}"));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}; {needs}\n{words}", output.status);
}

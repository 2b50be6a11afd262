//! Everything once more without root: daemon, simulator and containers of an ordinary user.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::Command,
};

use sockerless_tests::{Daemon, dist};

/// Debian's user without rights. In a mount namespace of its own it gets what an ordinary user of a machine for
/// containers has: a range of ids, and the devices (TUN, FUSE) that udev opens to everybody and a machine without udev does not.
const USER: (&str, u32) = ("nobody", 65534);

/// What `SCRIPT` says when the machine does not let root do this.
const CANNOT: i32 = 99;

const SCRIPT: &str = r#"
    mount --bind "$FOLDER/subuid" /etc/subuid && mount --bind "$FOLDER/subgid" /etc/subgid || exit 99
    mknod -m 666 "$FOLDER/tun" c 10 200 && mount --bind "$FOLDER/tun" /dev/net/tun || exit 99
    [ ! -e /dev/fuse ] || { mknod -m 666 "$FOLDER/fuse" c 10 229 && mount --bind "$FOLDER/fuse" /dev/fuse; } || exit 99
    exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all -- "$@"
"#;

#[test]
fn an_ordinary_user_runs_containers_to_their_exit_codes() {
    if let Some(missing) = missing_tool() {
        return skip(&format!("{missing} is missing (packages util-linux, uidmap, slirp4netns)"));
    }
    if !nix::unistd::geteuid().is_root() {
        return match not_permitted() {
            Some(why) => skip(&why),
            None => run_containers(),
        };
    }
    as_ordinary_user();
}

/// What the user sees: the same as root.
fn run_containers() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let output = docker.args(["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; id -u; exit 7"]);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str(), output.code), ("out\n0\n", "err\n", 7));
    let echoed = docker.with_input(["run", "-i", "--rm", "busybox", "cat"], b"through standard input");
    assert_eq!(echoed.ok(), "through standard input");
    docker.run("run --rm busybox nosuch").fails(127);
    let names = docker.run("run --rm --user nobody busybox whoami");
    assert_eq!(names.ok(), "nobody");

    let id = docker.args([
        "run",
        "-d",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done",
    ]);
    let id = id.ok();
    assert_eq!(docker.run("ps --quiet --no-trunc").ok(), id);
    let mut logs = docker.spawn(["logs", "--follow", &id]);
    let mut first = [0; 3];
    std::io::Read::read_exact(logs.stdout.as_mut().unwrap(), &mut first).unwrap();
    assert_eq!(&first, b"up\n");
    docker.run(&format!("stop {id}")).ok();
    assert_eq!(docker.run(&format!("wait {id}")).ok(), "3");
    assert!(logs.wait().unwrap().success());
    docker.run(&format!("rm {id}")).ok();
    assert_eq!(docker.run("ps --all --quiet").ok(), "");
}

/// Runs this test again as [`USER`].
fn as_ordinary_user() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    open_to_all(path);
    // The build folder may be closed to others.
    let suite = path.join("suite");
    fs::copy(std::env::current_exe().unwrap(), &suite).unwrap();
    open_to_all(&suite);
    copy(&dist::folder(), &path.join("dist"));
    for name in ["subuid", "subgid"] {
        fs::write(path.join(name), format!("{}:1000000:65536\n", USER.0)).unwrap();
    }
    for name in ["tmp", "home", "run", "target"] {
        fs::create_dir(path.join(name)).unwrap();
        chown(path.join(name), Some(USER.1), Some(USER.1)).unwrap();
    }
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh"])
        .arg(suite)
        .args(["an_ordinary_user_runs_containers_to_their_exit_codes", "--exact", "--nocapture"])
        .env("FOLDER", path)
        .env("SOCKERLESS_DIST", path.join("dist"))
        .env("CARGO_TARGET_DIR", path.join("target"))
        .env("TMPDIR", path.join("tmp"))
        .env("HOME", path.join("home"))
        .env("XDG_RUNTIME_DIR", path.join("run"))
        .env("USER", USER.0)
        .env("RUST_BACKTRACE", "0")
        .current_dir("/")
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(CANNOT) {
        return skip("this machine does not let root mount over /etc/subuid, /dev/net/tun and /dev/fuse");
    }
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "it did not run: {said}");
    let left: Vec<_> = fs::read_dir(path.join("tmp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

fn missing_tool() -> Option<&'static str> {
    let path = std::env::var("PATH").unwrap_or_default();
    let has = |tool: &str| path.split(':').any(|folder| Path::new(folder).join(tool).exists());
    ["unshare", "setpriv", "newuidmap", "slirp4netns", "docker"].into_iter().find(|tool| !has(tool))
}

/// Why an ordinary user cannot run containers here.
fn not_permitted() -> Option<String> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
    let name = user.map(|user| user.name).unwrap_or_default();
    let ranges = fs::read_to_string("/etc/subuid").unwrap_or_default();
    if !ranges.lines().any(|line| line.split(':').next() == Some(name.as_str())) {
        return Some(format!("user {name:?} has no range of ids in /etc/subuid"));
    }
    let tun = fs::File::options().read(true).write(true).open("/dev/net/tun");
    if let Err(error) = tun {
        return Some(format!("/dev/net/tun: {error}"));
    }
    let unshare = Command::new("unshare").args(["--user", "true"]).output().ok()?;
    (!unshare.status.success()).then(|| {
        format!("this machine forbids user namespaces: {}", String::from_utf8_lossy(&unshare.stderr).trim())
    })
}

/// Tells why, past the test harness, which keeps a passed test's output to itself.
fn skip(why: &str) {
    let line = format!("NOT TESTED as an ordinary user: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    open_to_all(to);
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
            continue;
        }
        // No copy where a link does: the programs of a debug build are large.
        if fs::hard_link(entry.path(), &target).is_err() {
            fs::copy(entry.path(), &target).unwrap();
        }
        let mode = target.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o004, 0o004, "{} cannot be read by others", target.display());
    }
}

//! The whole suite once more as an ordinary user.

use std::{
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::Command,
};

use crate::support::{is_root, stage_program};

/// Debian's user without rights; it gets a range of ids for the duration, in a mount namespace
/// where /etc/subuid is another file. The same for the devices of TUN and FUSE, which udev opens to
/// everybody and a machine without udev does not.
const USER: (&str, u32) = ("nobody", 65534);

const SCRIPT: &str = r#"
    mount --bind "$FOLDER/subuid" /etc/subuid && mount --bind "$FOLDER/subgid" /etc/subgid || exit 99
    mknod -m 666 "$FOLDER/tun" c 10 200 && mount --bind "$FOLDER/tun" /dev/net/tun || exit 99
    mknod -m 666 "$FOLDER/fuse" c 10 229 && mount --bind "$FOLDER/fuse" /dev/fuse || exit 99
    exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all -- "$@"
"#;

#[test]
fn everything_again_as_an_ordinary_user() {
    if !is_root() {
        println!("this already is an ordinary user");
        return;
    }
    for tool in ["unshare", "setpriv", "newuidmap", "slirp4netns"] {
        if !has(tool) {
            println!(
                "NOT TESTED as an ordinary user: {tool} is missing (packages util-linux, uidmap, slirp4netns)"
            );
            return;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for (name, source) in [("suite", std::env::current_exe().unwrap()), ("stage", stage_program())] {
        // The build folder may be closed to others.
        std::fs::copy(source, folder.path().join(name)).unwrap();
        std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    for name in ["subuid", "subgid"] {
        std::fs::write(folder.path().join(name), format!("{}:1000000:65536\n", USER.0)).unwrap();
    }
    let temporary = folder.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    chown(&temporary, Some(USER.1), Some(USER.1)).unwrap();

    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh"])
        .arg(folder.path().join("suite"))
        .args(["--skip", "everything_again", "--nocapture", "--test-threads=2"])
        .env("FOLDER", folder.path())
        .env("SOCKERLESS_TEST_STAGE", folder.path().join("stage"))
        .env("TMPDIR", &temporary)
        .env("RUST_BACKTRACE", "0")
        .current_dir("/")
        .output()
        .unwrap();
    print!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(99) {
        println!(
            "NOT TESTED as an ordinary user: this machine does not let root mount over /etc/subuid, /dev/net/tun and /dev/fuse"
        );
        return;
    }
    assert!(output.status.success());
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "left-over files");
}

fn has(tool: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').any(|folder| Path::new(folder).join(tool).exists())
}

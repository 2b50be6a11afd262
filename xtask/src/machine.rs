//! What a machine has to have; what is missing is installed where that is permitted, and otherwise
//! named with the one command that does it.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    Result,
    command::{exists, read, root, run},
};

/// Rust targets that are built for beside the machine's own.
const TARGETS: [&str; 2] = ["wasm32-wasip2", "x86_64-unknown-linux-musl"];

/// A program, or file, and the Debian package that has it.
struct Need {
    present: fn() -> bool,
    package: &'static str,
    why: &'static str,
}

/// What the simulator needs to run containers.
const SIMULATOR: &[Need] = &[
    Need {
        present: || exists("nft") || sbin("nft"),
        package: "nftables",
        why: "containers' way out of this machine",
    },
    Need { present: || exists("newuidmap"), package: "uidmap", why: "containers without root" },
    Need { present: || exists("slirp4netns"), package: "slirp4netns", why: "networking without root" },
];

/// What the first container is made of.
const DEMO: &[Need] = &[Need {
    present: || Path::new(sockerless_tests::images::BUSYBOX).exists(),
    package: "busybox-static",
    why: "the first container",
}];

/// What the tests with other clients need.
const TESTS: &[Need] = &[
    Need {
        present: || {
            Command::new("python3")
                .args(["-c", "import ensurepip, venv"])
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|s| s.success())
        },
        package: "python3-venv",
        why: "the tests with Google's own clients",
    },
    Need { present: || exists("mmdebstrap"), package: "mmdebstrap", why: "the tests with real programs" },
];

fn sbin(program: &str) -> bool {
    ["/usr/sbin", "/sbin"].iter().any(|folder| Path::new(folder).join(program).is_file())
}

/// Toolchain targets and components.
pub fn prepare_build() -> Result {
    if !exists("rustup") {
        // A toolchain without rustup has its targets from the distribution; cargo tells what is missing.
        return Ok(());
    }
    let list =
        |what: &str| read(Command::new("rustup").current_dir(root()).args([what, "list", "--installed"]));
    let targets = list("target")?;
    let missing: Vec<&str> = TARGETS.into_iter().filter(|target| !targets.contains(target)).collect();
    if !missing.is_empty() {
        run(Command::new("rustup").current_dir(root()).args(["target", "add"]).args(missing))?;
    }
    let components = list("component")?;
    let missing: Vec<&str> =
        ["clippy", "rustfmt"].into_iter().filter(|name| !components.contains(name)).collect();
    if !missing.is_empty() {
        run(Command::new("rustup").current_dir(root()).args(["component", "add"]).args(missing))?;
    }
    Ok(())
}

/// What `up` needs to run containers.
pub fn prepare_demo() -> Result {
    install(SIMULATOR.iter().chain(DEMO))?;
    docker_cli()?;
    user_namespaces()
}

/// What `test` needs.
pub fn prepare_tests() -> Result {
    install(SIMULATOR.iter().chain(DEMO).chain(TESTS))?;
    docker_cli()
}

fn install<'a>(needs: impl Iterator<Item = &'a Need>) -> Result {
    let missing: Vec<&Need> = needs.filter(|need| !(need.present)()).collect();
    for need in &missing {
        eprintln!("missing: {} ({})", need.package, need.why);
    }
    packages(&missing.iter().map(|need| need.package).collect::<Vec<_>>())
}

/// The docker CLI: `docker-cli` where the distribution has it apart, `docker.io` otherwise.
fn docker_cli() -> Result {
    if exists("docker") {
        return Ok(());
    }
    eprintln!("missing: docker (the command line client)");
    packages(&["docker-cli"]).or_else(|_| packages(&["docker.io"])).map_err(|error| {
        format!("{error}\nor put the docker CLI on your PATH: any version since 20.10 works").into()
    })
}

/// Installs Debian packages, or says how.
fn packages(names: &[&str]) -> Result {
    if names.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install -y --no-install-recommends {}", names.join(" "));
    if !exists("apt-get") {
        return Err(format!("please install: {}", names.join(", ")).into());
    }
    let mut prefix: Vec<&str> = Vec::new();
    if !is_root() {
        let passwordless = Command::new("sudo")
            .args(["-n", "true"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !passwordless {
            return Err(format!("please run: sudo {line}").into());
        }
        prefix = vec!["sudo", "-n"];
    }
    let apt = |arguments: &[&str]| {
        let words: Vec<&str> =
            prefix.iter().copied().chain(["apt-get"]).chain(arguments.iter().copied()).collect();
        run(Command::new(words[0])
            .args(&words[1..])
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null()))
    };
    let install: Vec<&str> = ["install", "-y", "-qq", "--no-install-recommends"]
        .into_iter()
        .chain(names.iter().copied())
        .collect();
    // The package list of a fresh machine is empty or old; that shows in a first failure.
    apt(&install)
        .or_else(|_| apt(&["update", "-qq"]).and_then(|()| apt(&install)))
        .map_err(|error| format!("{error}\nplease run: {line}").into())
}

/// Whether containers can be made on this machine at all.
fn user_namespaces() -> Result {
    if is_root() {
        return Ok(());
    }
    let restricted = fs::read_to_string("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
    if restricted.is_ok_and(|value| value.trim() == "1") {
        return Err("this machine forbids user namespaces to ordinary users (AppArmor); please run: \
                    sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
            .into());
    }
    if fs::File::options().read(true).write(true).open("/dev/net/tun").is_err() {
        return Err("containers without root need the device /dev/net/tun; please run: \
                    sudo modprobe tun && sudo chmod 666 /dev/net/tun"
            .into());
    }
    let user = read(Command::new("id").arg("-un"))?.trim().to_owned();
    let mapped = fs::read_to_string("/etc/subuid").unwrap_or_default();
    if !mapped.lines().any(|line| line.split(':').next() == Some(user.as_str())) {
        return Err(format!(
            "user {user} has no range of subordinate ids; please run: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}"
        )
        .into());
    }
    Ok(())
}

/// Whether this process may do everything.
pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

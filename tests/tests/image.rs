//! Images: pulled, loaded, imported, named, removed, and run afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;
use sockerless_tests::{
    Daemon,
    images::{ImageSpec, busybox_layer},
    registry::Registry,
};

fn spec(name: &str) -> ImageSpec {
    ImageSpec::new(name).with("Cmd", json!(["echo", "pulled"]))
}

#[test]
fn an_image_is_pulled_by_tag_and_by_digest_and_runs() {
    let daemon = Daemon::start();
    let registry = Registry::start(None).unwrap();
    let digest = registry.push(&spec("team/tool:1"), busybox_layer().unwrap()).unwrap();
    let docker = daemon.docker();
    let name = format!("{}/team/tool", registry.host());
    assert!(docker.run(&format!("pull {name}:1")).ok().contains(&digest));
    assert_eq!(docker.run(&format!("run --rm {name}:1")).ok(), "pulled");
    assert_eq!(docker.run(&format!("run --rm {name}@{digest}")).ok(), "pulled");
    assert!(docker.run(&format!("pull {name}:1")).ok().contains("Image is up to date"));
}

#[test]
fn run_pulls_what_is_missing() {
    let daemon = Daemon::start();
    let registry = Registry::start(None).unwrap();
    registry.push(&spec("tool:latest"), busybox_layer().unwrap()).unwrap();
    let output = daemon.docker().run(&format!("run --rm {}/tool", registry.host()));
    assert!(output.stderr.contains("Unable to find image"), "{}", output.stderr);
    assert_eq!(output.ok(), "pulled");
}

#[test]
fn a_login_is_needed_where_the_registry_asks_for_one() {
    let daemon = Daemon::start();
    // «user:secret»
    let registry = Registry::start(Some("Basic dXNlcjpzZWNyZXQ=")).unwrap();
    registry.push(&spec("private:1"), busybox_layer().unwrap()).unwrap();
    let docker = daemon.docker();
    let name = format!("{}/private:1", registry.host());
    let words = docker.run(&format!("pull {name}")).fails(1);
    assert!(words.contains("no basic auth credentials") || words.contains("unauthorized"), "{words}");
    let config = json!({"auths": {registry.host(): {"auth": "dXNlcjpzZWNyZXQ="}}}).to_string();
    std::fs::write(daemon.folder().join("docker/config.json"), config).unwrap();
    docker.run(&format!("pull {name}")).ok();
    assert_eq!(docker.run(&format!("run --rm {name}")).ok(), "pulled");
}

#[test]
fn a_login_is_checked_at_the_registry_and_used_from_then_on() {
    let daemon = Daemon::start();
    // «user:secret»
    let registry = Registry::start(Some("Basic dXNlcjpzZWNyZXQ=")).unwrap();
    registry.push(&spec("private:1"), busybox_layer().unwrap()).unwrap();
    let (docker, host) = (daemon.docker(), registry.host());
    let login = |host: &str, password: &str| {
        docker.with_input(["login", "--username", "user", "--password-stdin", host], password.as_bytes())
    };
    let words = login(&host, "wrong").fails(1);
    let refused = format!("login attempt to http://{host}/v2/ failed with status: 401 Unauthorized");
    assert!(words.contains(&refused), "{words}");
    assert!(!daemon.folder().join("docker/config.json").exists());

    assert_eq!(login(&host, "secret").ok(), "Login Succeeded");
    docker.run(&format!("pull {host}/private:1")).ok();
    assert_eq!(docker.run(&format!("run --rm {host}/private:1")).ok(), "pulled");
    // Without a password the CLI checks the one that it keeps.
    let again = docker.run(&format!("login {host}"));
    assert!(again.stdout.ends_with("Login Succeeded\n"), "{again:?}");
    docker.run(&format!("logout {host}")).ok();

    // Bound and dropped: nobody listens there.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let words = login(&nowhere, "secret").fails(1);
    let refused = format!("Get \"http://{nowhere}/v2/\": dial tcp {nowhere}: connect: connection refused");
    assert!(words.contains(&refused), "{words}");
}

#[test]
fn a_list_gives_the_image_of_the_platform() {
    let daemon = Daemon::start();
    let registry = Registry::start(None).unwrap();
    let mut other = spec("multi:other");
    other.architecture = "arm64".into();
    let ours = registry.push(&spec("multi:ours"), busybox_layer().unwrap()).unwrap();
    let other = registry.push(&other, busybox_layer().unwrap()).unwrap();
    registry.push_index("multi", "both", &[("arm64", &other), ("amd64", &ours)]);
    registry.push_index("multi", "foreign", &[("arm64", &other)]);
    let docker = daemon.docker();
    assert_eq!(docker.run(&format!("run --rm {}/multi:both", registry.host())).ok(), "pulled");
    let words = docker.run(&format!("pull {}/multi:foreign", registry.host())).fails(1);
    assert!(words.contains("no matching manifest for linux/amd64"), "{words}");
    let words = docker.run(&format!("pull --platform linux/riscv64 {}/multi:both", registry.host())).fails(1);
    assert!(words.contains("no matching manifest for linux/riscv64"), "{words}");
}

#[test]
fn what_does_not_exist_is_said_in_dockers_words() {
    let daemon = Daemon::start();
    let registry = Registry::start(None).unwrap();
    registry.push(&spec("tool:1"), busybox_layer().unwrap()).unwrap();
    let docker = daemon.docker();
    let words = docker.run(&format!("pull {}/tool:2", registry.host())).fails(1);
    assert!(words.contains("manifest unknown"), "{words}");
    let words = docker.run("create --pull never nothing").fails(1);
    assert!(words.contains("No such image: nothing:latest"), "{words}");
    let words = docker.run("pull Upper/Case").fails(1);
    assert!(words.contains("must be lowercase"), "{words}");
}

#[test]
fn an_imported_file_system_runs() {
    let daemon = Daemon::start();
    let tar = busybox_layer().unwrap().finish().unwrap();
    let docker = daemon.docker();
    let import = ["import", "--change", "CMD [\"echo\", \"imported\"]", "--change", "ENV A=b", "-", "made:1"];
    let id = docker.with_input(import, &tar).ok();
    assert!(id.starts_with("sha256:"), "{id}");
    assert_eq!(docker.run("run --rm made:1").ok(), "imported");
    assert_eq!(docker.args(["run", "--rm", "made:1", "sh", "-c", "echo $A"]).ok(), "b");
}

#[test]
fn names_come_and_go() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.run("tag busybox other:2").ok();
    assert_eq!(docker.run("images --quiet --no-trunc").ok().lines().count(), 2);
    assert_eq!(docker.run("run --rm other:2 echo same").ok(), "same");
    assert!(docker.run("rmi other:2").ok().contains("Untagged: other:2"));
    docker.run("create --name user busybox").ok();
    for written in ["busybox", "busybox:latest", "docker.io/library/busybox"] {
        let words = docker.run(&format!("rmi {written}")).fails(1);
        let expected = format!(
            "conflict: unable to remove repository reference \"{written}\" (must force) - container "
        );
        assert!(words.contains(&expected) && words.contains(" is using its referenced image "), "{words}");
    }
    docker.run("rm user").ok();
    assert!(docker.run("rmi busybox").ok().contains("Deleted: sha256:"));
    assert!(docker.run("run --pull never busybox").fails(125).contains("No such image"));
}

#[test]
fn inspect_and_history_describe_a_loaded_image() {
    let daemon = Daemon::start();
    daemon.load(
        &ImageSpec::new("described:1")
            .with("Labels", json!({"a": "b"}))
            .with("ExposedPorts", json!({"80/tcp": {}})),
    );
    let docker = daemon.docker();
    assert_eq!(
        docker
            .args(["inspect", "--format", "{{.Architecture}} {{index .Config.Labels \"a\"}}", "described:1"])
            .ok(),
        "amd64 b"
    );
    assert!(docker.run("history described:1").ok().contains("busybox-static"));
    assert_eq!(docker.run("images --format {{.Repository}}:{{.Tag}}").ok(), "described:1");
}

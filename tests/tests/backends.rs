//! Two backends in one daemon, each in a simulator of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sockerless_tests::{Daemon, backend::CLOUDRUN};
use tempfile::TempDir;

/// A daemon with both; the folder keeps its configuration.
fn both() -> (Daemon, TempDir) {
    let folder = TempDir::with_prefix("sockerless-test-").unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "[simulator]\nalso = [\"aca\"]\n").unwrap();
    let daemon = Daemon::of(&CLOUDRUN, &["--config", &file.to_string_lossy()], &[]);
    daemon.load_busybox();
    (daemon, folder)
}

#[test]
fn containers_of_two_clouds_run_side_by_side() {
    let (daemon, _folder) = both();
    let docker = daemon.docker();
    let runtimes = docker.args(["info", "--format", "{{json .Runtimes}}"]).ok();
    assert!(runtimes.contains("\"aca\"") && runtimes.contains("\"cloudrun\""), "{runtimes}");
    for backend in ["cloudrun", "aca"] {
        let run = [
            "run",
            "--name",
            backend,
            "--runtime",
            backend,
            "busybox",
            "sh",
            "-c",
            "echo from $0; exit 7",
            backend,
        ];
        let done = docker.args(run);
        assert_eq!(
            (done.code, done.stdout.trim()),
            (7, format!("from {backend}").as_str()),
            "{}",
            done.stderr
        );
        let inspected =
            docker.args(["inspect", "--format", "{{.HostConfig.Runtime}} {{.State.ExitCode}}", backend]).ok();
        assert_eq!(inspected, format!("{backend} 7"));
        docker.args(["rm", backend]).ok();
    }
}

#[test]
fn an_option_chooses_the_backend_of_a_network_and_a_volume_and_those_of_the_other_are_refused() {
    let (daemon, _folder) = both();
    let docker = daemon.docker();
    docker.args(["network", "create", "--opt", "sockerless.backend=aca", "net"]).ok();
    docker.args(["volume", "create", "--opt", "sockerless.backend=aca", "data"]).ok();
    let on = |backend: &str, options: &[&str], script: &str| {
        let run =
            [&["run", "--rm", "--runtime", backend][..], options, &["busybox", "sh", "-c", script]].concat();
        docker.args(run)
    };
    assert_eq!(on("aca", &["-v", "data:/data", "--network", "net"], "echo kept > /data/f").ok(), "");
    assert_eq!(on("aca", &["-v", "data:/data"], "cat /data/f").ok(), "kept");
    let words = on("cloudrun", &["-v", "data:/data"], "true").fails(125);
    assert!(words.contains("the volume data is kept by the backend aca"), "{words}");
    let words = on("cloudrun", &["--network", "net"], "true").fails(125);
    assert!(words.contains("the network net belongs to the backend aca"), "{words}");
    let words = docker.args(["volume", "create", "--opt", "sockerless.backend=nowhere", "x"]).fails(1);
    assert!(words.contains("there is no backend nowhere; there are: aca, cloudrun"), "{words}");
    docker.args(["volume", "rm", "data"]).ok();
    docker.args(["network", "rm", "net"]).ok();
}

#[test]
fn what_is_rounded_to_a_size_of_the_cloud_is_told() {
    let (daemon, _folder) = both();
    let docker = daemon.docker();
    let create = ["create", "--runtime", "aca", "--cpus", "0.3", "busybox", "true"];
    let words = docker.args(create).stderr;
    assert!(words.contains("the container gets 0.5 CPUs and at least 1073741824 bytes of memory"), "{words}");
    let words = docker
        .args(["create", "--runtime", "aca", "--cpus", "4", "--memory", "9g", "busybox", "true"])
        .fails(1);
    assert!(words.contains("more than the backend aca can give"), "{words}");
}

#[test]
fn what_one_backend_keeps_is_not_made_again_on_another() {
    let (daemon, _folder) = both();
    let docker = daemon.docker();
    let on = |backend: &str| format!("--opt sockerless.backend={backend}");
    docker.run(&format!("volume create {} data", on("aca"))).ok();
    let shown = docker.args(["volume", "inspect", "--format", "{{.Driver}} {{.Mountpoint}}", "data"]).ok();
    assert_eq!(shown, "azure-files /mnt/azure/data");
    // Nothing is said of a backend: the same volume.
    docker.run("volume create data").ok();
    docker.run(&format!("volume create {} data", on("aca"))).ok();
    let words = docker.run(&format!("volume create {} data", on("cloudrun"))).fails(1);
    let expected =
        "create data: conflict: volume name must be unique (the backend aca keeps it, not cloudrun)";
    assert!(words.contains(expected), "{words}");
    let body = br#"{"Name": "data", "DriverOpts": {"sockerless.backend": "cloudrun"}}"#;
    let (status, _) =
        daemon.request("POST", "/volumes/create", &[("Content-Type", "application/json")], body);
    assert_eq!(status, 409);
    // A driver is its backend's.
    docker.run("volume create --driver azure-files other").ok();
    let shown = |driver: &str| docker.run(&format!("volume ls -q --filter driver={driver}")).ok();
    docker.run("volume create usual").ok();
    assert_eq!((shown("azure-files"), shown("local")), ("data\nother".into(), "usual".into()));
    let words = docker.run("volume create --driver azure-files usual").fails(1);
    assert!(words.contains("create usual: conflict: volume name must be unique"), "{words}");
    docker.run("volume rm data other usual").ok();

    docker.run(&format!("network create {} net", on("aca"))).ok();
    let words = docker.run(&format!("network create {} net", on("cloudrun"))).fails(1);
    assert!(words.contains("network with name net already exists"), "{words}");
    docker.run("network rm net").ok();
}

//! Two backends in one daemon, each in a simulator of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sockerless_tests::Daemon;
use tempfile::TempDir;

/// A daemon with both; the folder keeps its configuration.
fn both() -> (Daemon, TempDir) {
    let folder = TempDir::with_prefix("sockerless-test-").unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "[simulator]\nalso = [\"aca\"]\n").unwrap();
    let daemon = Daemon::with(&["--backend", "cloudrun", "--config", &file.to_string_lossy()], &[]);
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

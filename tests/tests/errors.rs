//! Bad input and bad circumstances: a clear error, and nothing created.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use sockerless_tests::{
    Daemon, backend,
    images::{ImageSpec, busybox_layer},
    registry::Registry,
};

const JSON: &[(&str, &str)] = &[("Content-Type", "application/json")];

#[test]
fn malformed_requests_are_400_and_create_nothing() {
    let daemon = Daemon::with_busybox();
    for body in
        ["{", "[]", "{\"Image\": 7}", "{\"Image\": \"busybox\", \"HostConfig\": {\"Memory\": \"much\"}}", ""]
    {
        let (status, answer) = daemon.request("POST", "/v1.47/containers/create", JSON, body.as_bytes());
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer.contains("\"message\""), "{answer}");
    }
    for path in [
        "/v1.47/containers/json?filters=nonsense",
        "/v1.47/containers/json?filters=%7B%22no%22%3A%5B%22x%22%5D%7D",
    ] {
        let (status, answer) = daemon.request("GET", path, &[], b"");
        assert_eq!(status, 400, "{path}: {answer}");
    }
    let (status, answer) = daemon.request("GET", "/v1.99/containers/json", &[], b"");
    assert_eq!(status, 400);
    assert!(answer.contains("client version 1.99 is too new"), "{answer}");
    assert_eq!(daemon.docker().run("ps --all --quiet").ok(), "");
}

#[test]
fn an_oversized_body_is_refused() {
    let daemon = Daemon::with_busybox();
    let body = format!("{{\"Image\": \"busybox\", \"Hostname\": \"{}\"}}", "a".repeat(64 << 20));
    let (status, _) = daemon.request("POST", "/v1.47/containers/create", JSON, body.as_bytes());
    assert!((400..500).contains(&status), "{status}");
    assert_eq!(daemon.docker().run("ps --all --quiet").ok(), "");
}

#[test]
fn what_does_not_exist_is_404_and_what_is_taken_409() {
    let daemon = Daemon::with_busybox();
    for (method, path) in [
        ("GET", "/containers/x/json"),
        ("POST", "/containers/x/start"),
        ("POST", "/containers/x/wait"),
        ("GET", "/containers/x/logs?stdout=1"),
        ("DELETE", "/containers/x"),
    ] {
        let (status, answer) = daemon.request(method, path, &[], b"");
        assert_eq!(status, 404, "{method} {path}: {answer}");
        assert!(answer.contains("No such container: x"), "{answer}");
    }
    let docker = daemon.docker();
    docker.run("create --name taken busybox").ok();
    let words = docker.run("create --name taken busybox").fails(1);
    assert!(
        words.contains("Conflict. The container name \"/taken\" is already in use by container"),
        "{words}"
    );
    let (status, _) =
        daemon.request("POST", "/containers/create?name=taken", JSON, b"{\"Image\": \"busybox\"}");
    assert_eq!(status, 409);
}

#[test]
fn what_is_not_there_yet_says_so() {
    let daemon = Daemon::with_busybox();
    let (status, answer) = daemon.request("GET", "/swarm", &[], b"");
    assert_eq!(status, 501, "{answer}");
    assert!(answer.contains("message"), "{answer}");
    let (status, _) = daemon.request("GET", "/no/such/thing", &[], b"");
    assert_eq!(status, 404);
}

#[test]
fn a_wrong_account_is_told_in_the_providers_words_and_seen_in_ps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    // Naming an account is what turns the embedded simulator off; so it is asked for.
    std::fs::write(&path, "[simulator]\nmode = 'on'\n").unwrap();
    let [_, variable, other] = backend().account;
    let daemon = Daemon::with(&["--config", &path.to_string_lossy()], &[(variable, other)]);
    daemon.load_busybox();
    let docker = daemon.docker();
    let words = docker.run("run --name refused busybox true").fails(125);
    assert!(words.contains(other), "{words}");
    let status = docker.run("ps --all --filter name=refused --format {{.Status}}").ok();
    assert!(status.starts_with("Created"), "{status}");
    let error = docker.run("inspect --format {{.State.Error}} refused").ok();
    assert!(error.contains(other), "{error}");
}

#[test]
fn an_expired_credential_is_told_in_the_providers_words_and_a_new_one_repairs_it() {
    // An image that the cloud pulls itself: so that it is the cloud, and no registry, which looks at the credential.
    let hub = Registry::start(None).unwrap();
    hub.push(&ImageSpec::new("library/busybox:latest"), busybox_layer().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let path = file.to_str().unwrap();
    let mirror = format!("http://{}", hub.host());
    let arguments = format!("['--token-life', '0', '--docker-hub-mirror', '{mirror}']");
    fs::write(&file, format!("[simulator]\narguments = {arguments}\n")).unwrap();
    let simulated = Daemon::with(&["--config", path], &[]);
    let cloud = simulated.cloud();

    // Another daemon, to which the simulator is a cloud like any other.
    let configure = |token: &str| {
        fs::write(&file, format!("registry_mirrors = ['{mirror}']\n{}", cloud.configuration(token))).unwrap();
    };
    configure(&cloud.issued_token());
    let mut daemon = Daemon::with(&["--config", path], &[]);
    let docker = daemon.docker();
    docker.run("pull busybox").ok();
    let words = docker.run("run --name refused busybox true").fails(125);
    let expected = cloud.expired();
    assert!(words.contains(expected), "{words}");
    let status = docker.run("ps --all --filter name=refused --format {{.Status}}").ok();
    assert!(status.starts_with("Created"), "{status}");
    let error = docker.run("inspect --format {{.State.Error}} refused").ok();
    assert!(error.contains(expected), "{error}");

    configure(cloud.ready().text("token"));
    daemon.kill();
    daemon.launch();
    docker.run("start refused").ok();
    assert_eq!(docker.run("wait refused").ok(), "0");
}

#[test]
fn a_wrong_flag_of_the_daemon_is_explained() {
    let output: sockerless_tests::Output =
        std::process::Command::new(sockerless_tests::dist::program("sockerless"))
            .args(["serve", "--sokcet", "/x"])
            .output()
            .unwrap()
            .into();
    assert!(output.fails(2).contains("--socket"));
}

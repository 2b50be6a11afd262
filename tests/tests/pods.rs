//! Several containers in one job of the simulated cloud, by the docker CLI.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use sockerless_tests::{Daemon, Docker};

/// Longer than anything takes; only a failing test meets it.
const PATIENCE: Duration = Duration::from_secs(60);

#[track_caller]
fn create(docker: &Docker, name: &str, options: &[&str], script: &str) -> String {
    let create = ["create", "--name", name, "--label", "sockerless.linger=0"];
    docker.args([&create[..], options, &["busybox", "sh", "-c", script]].concat()).ok()
}

/// A server that says its word on a port of all addresses, and on the next one of 127.0.0.1 alone.
fn server(word: &str, port: u16) -> String {
    let local = port + 1;
    format!(
        "mkdir -p /tmp/www; echo {word} > /tmp/www/index.html; httpd -p 127.0.0.1:{local} -h /tmp/www; echo {word} serves; \
         exec httpd -f -p {port} -h /tmp/www"
    )
}

const GET: &str = "get() { until wget -qO- http://$1/ 2>/dev/null; do sleep 0.05; done; }";

fn status(docker: &Docker, name: &str) -> String {
    docker.args(["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", name]).ok()
}

#[test]
fn members_of_a_pod_are_one_job_with_localhost_names_and_lives_of_their_own() {
    let mut daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.run("network create mine").ok();
    let pod = ["--network", "mine", "--label", "sockerless.pod=p"];
    create(&docker, "web", &pod, &server("web", 8080));
    let script = format!("{GET}; get localhost:8080; get 127.0.0.1:8081; get web:8080; exit 7");
    create(&docker, "client", &pod, &script);
    docker.run("start web").ok();
    assert_eq!(daemon.cloud().job_sizes(), [2]);
    let states = ["ps", "-a", "--format", "{{.Names}} {{.State}}"];
    assert_eq!(docker.args(states).ok(), "client created\nweb running");

    // What is in the same job is reached by localhost, and by name without the mesh.
    let said = docker.args(["start", "-a", "client"]);
    assert_eq!((said.code, said.stdout.as_str()), (7, "web\nweb\nweb\n"), "{}", said.stderr);
    assert_eq!((status(&docker, "web"), status(&docker, "client")), ("running 0".into(), "exited 7".into()));
    assert_eq!(docker.run("logs web").ok(), "web serves");
    // Files are each one's own.
    assert_eq!(docker.run("exec client ls").code, 1);
    assert_eq!(docker.run("exec web ls /tmp/www").ok(), "index.html");

    // The daemon dies; nobody in the pod notices, and who has ended is started in place.
    daemon.kill();
    daemon.launch();
    assert_eq!(status(&docker, "web"), "running 0");
    assert_eq!(docker.args(["start", "-a", "client"]).code, 7);
    assert_eq!(daemon.cloud().job_sizes(), [2]);

    // One that comes later has a job of its own, is told so, and reaches the others through the mesh.
    let late = format!("{GET}; get web:8080; wget -qO- http://localhost:8080/ 2>/dev/null || echo alone");
    let told =
        docker.args([&["create", "--name", "late"][..], &pod, &["busybox", "sh", "-c", &late]].concat());
    assert!(told.stderr.contains("a job of its own"), "{}", told.stderr);
    assert_eq!(docker.args(["start", "-a", "late"]).ok(), "web\nalone");

    // The main container of the job is the first to be started: its end is not the others'.
    docker.run("stop web").ok();
    docker.run("start web").ok();
    assert_eq!(docker.run("exec web wget -qO- http://localhost:8080/").ok(), "web");
    docker.run("rm -f web client late").ok();
    let deadline = Instant::now() + PATIENCE;
    while !daemon.cloud().job_sizes().is_empty() {
        assert!(Instant::now() < deadline, "{:?}", daemon.cloud().job_sizes());
    }
}

#[test]
fn the_containers_of_a_network_with_the_option_and_of_anothers_stack_are_pods() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.run("network create -o com.sockerless.pod=true together").ok();
    docker.run("network create mine").ok();
    for name in ["one", "other"] {
        create(&docker, name, &["--network", "together"], "exec sleep 1000");
    }
    docker.run("start one other").ok();
    create(&docker, "root", &["--network", "mine", "-p", "127.0.0.1::8080"], "exec sleep 1000");
    create(&docker, "guest", &["--network", "container:root"], &server("guest", 8080));
    let db = server("db", 5432);
    docker.args(["run", "-d", "--name", "db", "--network", "mine", "busybox", "sh", "-c", &db]).ok();
    let early = docker.run("start guest").fails(1);
    assert!(early.contains("cannot join network of a non running container"), "{early}");
    docker.run("start root").ok();
    docker.run("start guest").ok();
    assert_eq!(daemon.cloud().job_sizes(), [1, 2, 2]);
    let get = |name: &str, from: &str| {
        let script = format!("{GET}; get {from}");
        docker.args(["exec", name, "sh", "-c", &script]).ok()
    };
    assert_eq!(get("root", "localhost:8080"), "guest");
    assert_eq!(get("guest", "db:5432"), "db");
    // Others reach it as whose stack it has, and so does who comes by its published port.
    assert_eq!(get("db", "root:8080"), "guest");
    let port = docker.run("port root 8080").ok();
    let mut stream = TcpStream::connect(&port).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("guest\n"), "{answer}");
    let late = docker.run("run --rm --network container:root busybox true").fails(125);
    assert!(late.contains("Create both before root is started"), "{late}");
}

#[test]
fn two_members_of_a_pod_cannot_have_one_port_and_two_containers_outside_of_it_can() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.run("network create mine").ok();
    let serve = |word: &str| {
        format!("mkdir -p /tmp/www; echo {word} > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www")
    };
    let pod = ["--network", "mine", "--label", "sockerless.pod=p"];
    create(&docker, "one", &pod, &serve("one"));
    create(&docker, "other", &pod, &serve("other"));
    create(&docker, "client", &pod, "exec sleep 1000");
    create(&docker, "outside", &["--network", "mine"], &serve("outside"));
    docker.run("start one client outside").ok();
    let get = |from: &str| {
        let script = format!("{GET}; get {from}:8080");
        docker.args(["exec", "client", "sh", "-c", &script]).ok()
    };
    assert_eq!(
        (get("one"), get("localhost"), get("outside")),
        ("one".into(), "one".into(), "outside".into())
    );
    // Each time anew, and nobody else notices.
    for _ in 0..2 {
        let said = docker.args(["start", "-a", "other"]);
        assert_eq!(said.code, 1);
        assert!(said.stderr.contains("Address already in use"), "{}", said.stderr);
    }
    assert_eq!(get("client"), "one", "whichever member listens there");
    docker.run("stop -t 1 one").ok();
    docker.run("start other").ok();
    assert_eq!((get("other"), get("outside")), ("other".into(), "outside".into()));
    assert_eq!(daemon.cloud().job_sizes(), [1, 3]);
}

#[test]
fn a_daemon_that_is_killed_at_any_point_of_a_pods_life_finds_it_again() {
    let mut daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.run("network create mine").ok();
    let pod = ["--network", "mine", "--label", "sockerless.pod=p"];
    create(&docker, "web", &pod, &server("web", 8080));
    for name in ["early", "late", "gone"] {
        create(&docker, name, &pod, "until [ -e /tmp/over ]; do sleep 0.1; done; exit 3");
    }
    docker.run("start web").ok();
    let get =
        |from: &str| docker.args(["exec", from, "sh", "-c", &format!("{GET}; get localhost:8080")]).ok();
    // The others wait.
    daemon.kill();
    daemon.launch();
    docker.run("start early").ok();
    assert_eq!(get("early"), "web");
    // One is about to be started: whatever has become of that, it can be started.
    let start = docker.spawn(["start", "late"]);
    daemon.kill();
    start.wait_with_output().unwrap();
    daemon.launch();
    docker.run("start late").ok();
    assert_eq!((get("late"), daemon.cloud().job_sizes()), ("web".into(), vec![4]));
    // One was started in place, and is removed.
    docker.run("start gone").ok();
    docker.run("restart -t 5 gone").ok();
    docker.run("rm -f gone").ok();
    daemon.kill();
    daemon.launch();
    // The first has ended, and waits for another start.
    docker.run("stop -t 5 web").ok();
    daemon.kill();
    daemon.launch();
    assert_eq!(status(&docker, "early"), "running 0");
    docker.run("start web").ok();
    assert_eq!((get("late"), daemon.cloud().job_sizes()), ("web".into(), vec![4]));
    // One ends while nobody looks.
    docker.args(["exec", "-d", "early", "sh", "-c", "sleep 1; echo > /tmp/over"]).ok();
    daemon.kill();
    daemon.launch();
    assert_eq!(docker.run("wait early").ok(), "3");
    docker.run("rm -f web late early").ok();
    daemon.kill();
    daemon.launch();
    let deadline = Instant::now() + PATIENCE;
    while !daemon.cloud().job_sizes().is_empty() {
        assert!(Instant::now() < deadline, "{:?}", daemon.cloud().job_sizes());
    }
}

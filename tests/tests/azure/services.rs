//! Containers that the environment's others can dial.

use sockerless_tests::{Daemon, backend::CLOUDRUN, http, until};

use super::{Azure, daemon};

const SERVER: &str =
    "mkdir -p /www && echo '\"hello\"' > /www/index.html && echo up && exec httpd -f -p 8080 -h /www";

/// What the server says at its published port.
fn published(docker: &sockerless_tests::Docker) -> String {
    let port = docker.run("port web 8080").ok();
    let (status, body) = http::request(&format!("http://{port}"), "GET", "/", &[], "");
    assert_eq!(status, 200);
    body.as_str().unwrap().to_owned()
}

#[test]
fn a_service_is_an_app_that_is_reached_by_its_published_port_by_exec_and_by_its_name_in_the_cloud() {
    let daemon = daemon();
    let (docker, azure) = (daemon.docker(), Azure::of(&daemon));
    let label = "sockerless.service=true";
    // A job that runs before there is the app.
    docker.args(["run", "-d", "--name", "early", "--network", "none", "busybox", "sleep", "1000"]).ok();
    let run =
        ["run", "-d", "--name", "web", "--label", label, "-p", "127.0.0.1::8080", "busybox", "sh", "-c"];
    docker.args([&run[..], &[SERVER]].concat()).ok();
    docker.until_says("web", "up");
    let [app] = &azure.list("containerApps")[..] else { panic!("one app") };
    assert_eq!((&app["tags"]["sockerless-name"], &azure.list("jobs").len()), (&"web".into(), &1));
    let ingress = &app["properties"]["configuration"]["ingress"];
    assert_eq!((&ingress["transport"], &ingress["targetPort"]), (&"tcp".into(), &8080.into()));
    assert_eq!(ingress["external"], false);

    until("the published port", || {
        docker.run("exec web wget -qO- http://127.0.0.1:8080/").code.eq(&0).then_some(())
    });
    assert_eq!(published(&docker), "hello");
    assert_eq!(docker.run("exec web cat /www/index.html").ok(), "\"hello\"");
    // No mesh leads there: the cloud's own name does.
    let url = format!("http://{}:8080/", app["name"].as_str().unwrap());
    assert_eq!(
        docker.args(["run", "--rm", "--network", "none", "busybox", "wget", "-qO-", &url]).ok(),
        "\"hello\""
    );

    assert_eq!(docker.args(["exec", "early", "wget", "-qO-", &url]).ok(), "\"hello\"");

    docker.run("restart -t 1 web").ok();
    until("the server again", || {
        docker.run("exec web wget -qO- http://127.0.0.1:8080/").code.eq(&0).then_some(())
    });
    assert_eq!(published(&docker), "hello");
    docker.run("stop -t 5 web").ok();
    assert_eq!(docker.shows("web", "{{.State.Status}} {{.State.ExitCode}}"), "exited 143");
    docker.run("rm web").ok();
    until("the app goes", || azure.list("containerApps").is_empty().then_some(()));
}

#[test]
fn the_end_of_a_service_is_the_first_of_its_process_with_its_exit_code() {
    let daemon = daemon();
    let (docker, azure) = (daemon.docker(), Azure::of(&daemon));
    let run = "run --label sockerless.service=true --expose 80 busybox sh -c";
    let run: Vec<&str> = run.split(' ').collect();
    let done = docker.args([&run[..], &["exit 7"]].concat());
    assert_eq!(done.code, 7, "{}", done.stderr);
    // An operator's stop is an end that no process tells.
    docker.args([&run[..1], &["-d", "--name", "web"], &run[1..], &["echo up; sleep 1000"]].concat()).ok();
    docker.until_says("web", "up");
    let all = azure.list("containerApps");
    let app = all.iter().find(|app| app["tags"]["sockerless-name"] == "web").unwrap();
    let (status, _) = azure.call("POST", &format!("containerApps/{}/stop", app["name"].as_str().unwrap()));
    assert_eq!(status, 202);
    let code = docker.run("wait web").ok();
    assert_ne!(code, "0", "{}", docker.shows("web", "{{.State.Error}}"));
}

#[test]
fn a_backend_without_services_says_why_and_creates_nothing() {
    let daemon = Daemon::of(&CLOUDRUN, &[], &[]);
    daemon.load_busybox();
    let docker = daemon.docker();
    let words = docker.run("run --label sockerless.service=true -p 80 busybox true").fails(125);
    assert!(words.contains("the backend cloudrun runs containers as jobs"), "{words}");
    assert_eq!(docker.run("ps --all --quiet").ok(), "");
}

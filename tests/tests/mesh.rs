//! Containers reach each other by name, as on a bridge: the connections are carried by their agents.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sockerless_tests::{Daemon, Docker, images::ImageSpec};

/// A container that answers HTTP on a port with its own word.
#[track_caller]
fn serve(docker: &Docker, name: &str, options: &[&str], port: u16, word: &str) {
    let script =
        format!("mkdir -p /tmp/www; echo {word} > /tmp/www/index.html; exec httpd -f -p {port} -h /tmp/www");
    let run = ["run", "-d", "--name", name];
    docker.args([&run[..], options, &["busybox", "sh", "-c", &script]].concat()).ok();
}

/// What a script says in a container that ends with it. Servers may take a moment to listen: `get` waits for that.
#[track_caller]
fn say(docker: &Docker, options: &[&str], script: &str) -> String {
    let get = "get() { until wget -qO- http://$1/ 2>/dev/null; do sleep 0.05; done; }";
    let script = format!("{get}\n{script}");
    docker.args([&["run", "--rm"][..], options, &["busybox", "sh", "-c", &script]].concat()).ok()
}

#[test]
fn a_container_is_reached_by_name_alias_and_short_id_on_the_port_that_the_own_server_has_too() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.run("network create mine").ok();
    serve(&docker, "web", &["--network", "mine", "--network-alias", "api"], 8080, "web");
    serve(&docker, "other", &["--network", "mine"], 8080, "other");
    let id = docker.args(["inspect", "--format", "{{.Id}}", "web"]).ok();
    let own = "mkdir /tmp/own; echo own > /tmp/own/index.html; httpd -p 8080 -h /tmp/own";
    let script = format!(
        "{own}; get web:8080; get api:8080; get {}:8080; get other:8080; get localhost:8080",
        &id[..12]
    );
    assert_eq!(say(&docker, &["--network", "mine"], &script), "web\nweb\nweb\nother\nown");
    assert_eq!(
        docker.args(["inspect", "--format", "{{.NetworkSettings.SandboxKey}}", "web"]).ok(),
        "mesh/seccomp"
    );
}

#[test]
fn a_user_who_is_not_root_reaches_others_too() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    daemon.load(&ImageSpec::new("ordinary:latest").with("User", serde_json::json!("nobody")));
    docker.run("network create mine").ok();
    serve(&docker, "web", &["--network", "mine"], 8080, "web");
    let get = "until wget -qO- http://web:8080/ 2>/dev/null; do sleep 0.05; done; id -u";
    let run = ["run", "--rm", "--network", "mine"];
    assert_eq!(docker.args([&run[..], &["ordinary", "sh", "-c", get]].concat()).ok(), "web\n65534");
    // By `-u`, and by exec.
    assert_eq!(say(&docker, &["--network", "mine", "-u", "nobody"], "get web:8080"), "web");
    docker.run("run -d --name idle --network mine busybox sleep 1000").ok();
    assert_eq!(docker.args(["exec", "-u", "nobody", "idle", "wget", "-qO-", "http://web:8080/"]).ok(), "web");
}

#[test]
fn refused_stays_refused_and_what_begins_to_listen_later_is_reached() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.run("network create mine").ok();
    docker.run("run -d --name web --network mine busybox sleep 1000").ok();
    let tried = |what: &str| {
        say(&docker, &["--network", "mine"], &format!("wget -qO- http://{what}/ 2>&1 || echo failed"))
    };
    assert!(tried("web:8080").contains("Connection refused"));
    assert!(tried("ghost:8080").contains("failed"));
    let in_web = |script: &str| docker.args(["exec", "web", "sh", "-c", script]).ok();
    in_web("mkdir /tmp/w; echo late > /tmp/w/index.html");
    // One that listens on 127.0.0.1 alone is nobody else's business.
    in_web("httpd -p 127.0.0.1:8080 -h /tmp/w");
    assert_eq!(in_web("wget -qO- http://127.0.0.1:8080/"), "late");
    assert!(tried("web:8080").contains("Connection refused"));
    in_web("httpd -p 8081 -h /tmp/w");
    assert_eq!(say(&docker, &["--network", "mine"], "get web:8081"), "late");
}

#[test]
fn two_networks_with_the_same_names_do_not_mix() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    for network in ["one", "two"] {
        docker.args(["network", "create", network]).ok();
        let options = ["--network", network, "--network-alias", "postgres"];
        serve(&docker, &format!("db-{network}"), &options, 5432, network);
    }
    assert_eq!(say(&docker, &["--network", "one"], "get postgres:5432"), "one");
    assert_eq!(say(&docker, &["--network", "two"], "get postgres:5432"), "two");
    // Neither by name nor by address.
    let address =
        docker.args(["inspect", "--format", "{{.NetworkSettings.Networks.two.IPAddress}}", "db-two"]).ok();
    let script = format!(
        "for to in db-two {address}; do wget -T 5 -qO- http://$to:5432/ 2>/dev/null || echo no way; done"
    );
    assert_eq!(say(&docker, &["--network", "one"], &script), "no way\nno way");
    // Who is on both sees both; who is connected while it runs, too.
    docker.run("run -d --name both --network one busybox sleep 1000").ok();
    docker.run("network connect two both").ok();
    let get =
        "until wget -qO- http://db-two:5432/ 2>/dev/null; do sleep 0.05; done; wget -qO- http://db-one:5432/";
    assert_eq!(docker.args(["exec", "both", "sh", "-c", get]).ok(), "two\none");
    docker.run("network disconnect two both").ok();
    let gone = "while wget -T 5 -qO- http://db-two:5432/ >/dev/null 2>&1; do sleep 0.05; done";
    docker.args(["exec", "both", "sh", "-c", gone]).ok();
}

#[test]
fn replicas_behind_one_alias_are_all_found() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.run("network create mine").ok();
    for name in ["first", "second"] {
        serve(&docker, name, &["--network", "mine", "--network-alias", "web"], 80, name);
    }
    let script = "get first:80; get second:80; for n in 1 2 3 4 5 6 7 8 9 10 11 12; do wget -qO- http://web/; done | sort -u";
    assert_eq!(say(&docker, &["--network", "mine"], script), "first\nsecond\nfirst\nsecond");
}

#[test]
fn links_and_hosts_of_the_users_own_resolve() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    serve(&docker, "db", &[], 5432, "db");
    assert_eq!(say(&docker, &["--link", "db:postgres"], "get postgres:5432"), "db");
    let said = say(
        &docker,
        &["--add-host", "here:127.0.0.1"],
        "mkdir /tmp/w; echo own > /tmp/w/index.html; httpd -p 80 -h /tmp/w; get here",
    );
    assert_eq!(said, "own");
}

#[test]
fn a_containers_own_files_tell_its_names_and_its_name_servers() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.run("network create --subnet 10.77.0.0/24 mine").ok();
    let names = ["--hostname", "web", "--domainname", "example.org", "--add-host", "given:9.9.9.9"];
    let hosts = say(&docker, &[&["--network", "mine"][..], &names].concat(), "cat /etc/hosts");
    assert!(
        hosts.starts_with("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"),
        "{hosts}"
    );
    assert!(hosts.ends_with("\n9.9.9.9\tgiven\n10.77.0.2\tweb.example.org web"), "{hosts}");
    // What a program writes stays, while the networks change.
    docker.run("network create --subnet 10.78.0.0/24 other").ok();
    docker.run("run -d --name idle --network mine --hostname idle busybox sleep 1000").ok();
    docker.args(["exec", "idle", "sh", "-c", "echo 1.2.3.4 mine >> /etc/hosts"]).ok();
    docker.run("network connect other idle").ok();
    let wait = "until grep -q '^10.78.0.2.idle$' /etc/hosts; do sleep 0.05; done; grep -c mine /etc/hosts";
    assert_eq!(docker.args(["exec", "idle", "sh", "-c", wait]).ok(), "1");
    docker.run("network disconnect other idle").ok();
    let wait = "while grep -q 10.78 /etc/hosts; do sleep 0.05; done; grep -c '^10.77.0.2.idle$' /etc/hosts";
    assert_eq!(docker.args(["exec", "idle", "sh", "-c", wait]).ok(), "1");
    let resolver = ["--dns", "1.1.1.1", "--dns-search", "a.b", "--dns-option", "ndots:1"];
    assert_eq!(
        say(&docker, &resolver, "grep -v '^#' /etc/resolv.conf"),
        "nameserver 1.1.1.1\nsearch a.b\noptions ndots:1"
    );
}

#[test]
fn each_rung_can_be_asked_for_and_says_what_it_lacks() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.run("network create mine").ok();
    serve(&docker, "web", &["--network", "mine"], 8080, "web");
    let caught = |rung: &str, script: &str| {
        let label = format!("sockerless.mesh={rung}");
        let run = ["run", "-d", "--name", rung, "--network", "mine", "--label", &label];
        docker.args([&run[..], &["busybox", "sleep", "1000"]].concat()).ok();
        let said = docker.args(["exec", rung, "sh", "-c", script]).ok();
        (said, docker.args(["inspect", "--format", "{{.NetworkSettings.SandboxKey}}", rung]).ok())
    };
    let get = "until wget -qO- http://web:8080/ 2>/dev/null; do sleep 0.05; done";
    for rung in ["seccomp", "loopback"] {
        assert_eq!(caught(rung, get), ("web".to_owned(), format!("mesh/{rung}")));
    }
    // A job of the cloud has not what a network namespace needs; the container runs all the same.
    assert_eq!(caught("tun", "echo runs"), ("runs".to_owned(), "mesh/none".to_owned()));
    let refused = docker.run("create --label sockerless.mesh=pigeon busybox").fails(1);
    assert!(refused.contains("invalid label sockerless.mesh=pigeon: seccomp, tun or loopback"), "{refused}");
}

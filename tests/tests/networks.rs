//! Networks by the docker CLI, with the zones that they get in the simulated cloud.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use sockerless_tests::{
    Daemon, backend,
    cloud::{Cloud, Fault},
};

/// Longer than anything takes; only a failing test meets it.
const PATIENCE: Duration = Duration::from_secs(60);

#[track_caller]
fn become_records(cloud: &dyn Cloud, zone: &str, wanted: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let records = cloud.records(zone);
        if records == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{records:?} instead of {wanted:?}");
    }
}

#[test]
fn a_network_is_made_shown_left_and_removed_with_its_zone() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let cloud = daemon.cloud();
    assert_eq!(docker.run("network ls --format {{.Name}}").ok(), "bridge\nhost\nnone");
    let id = docker.run("network create --label of=test mine").ok();
    let zone = format!("sockerless-net-{}", &id[..12]);
    assert_eq!(cloud.zones(), [zone.as_str()]);
    docker.run("run -d --name web --network mine --network-alias api busybox sleep 1000").ok();
    become_records(&*cloud, &zone, &["api 10 172.18.0.2", "web 10 172.18.0.2"]);
    let place = "{{range $name, $place := .NetworkSettings.Networks}}{{$name}} {{$place.IPAddress}} {{$place.MacAddress}};{{end}}";
    let shown = docker.args(["inspect", "web", "--format", place]).ok();
    assert_eq!(shown, "mine 172.18.0.2 02:42:ac:12:00:02;");
    assert_eq!(docker.run("ps --filter network=mine --format {{.Names}}").ok(), "web");
    let busy = docker.run("network rm mine").fails(1);
    assert!(busy.contains(&format!("network mine id {id} has active endpoints")), "{busy}");
    docker.run("network create --subnet 10.7.0.0/24 other").ok();
    docker.run("network connect --ip 10.7.0.9 --alias second other web").ok();
    let members = "{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}";
    assert_eq!(docker.args(["network", "inspect", "other", "--format", members]).ok(), "web 10.7.0.9/24");
    docker.run("network disconnect mine web").ok();
    become_records(&*cloud, &zone, &[]);
    docker.run("network rm mine").ok();
    assert_eq!(cloud.zones().len(), 1);
    docker.run("rm -f web").ok();
    assert_eq!(docker.run("network prune -f --filter label=of").ok(), "");
    assert_eq!(docker.run("network prune -f").ok(), "Deleted Networks:\nother");
    assert!(cloud.zones().is_empty());
}

#[test]
fn addresses_and_zones_outlive_the_daemon() {
    let mut daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let cloud = daemon.cloud();
    let id = docker.run("network create mine").ok();
    let zone = format!("sockerless-net-{}", &id[..12]);
    docker.run("run -d --name one --network mine busybox sleep 1000").ok();
    docker.run("run -d --name two --network mine busybox sleep 1000").ok();
    daemon.kill();
    daemon.launch();
    let members = "{{range .Containers}}{{.Name}} {{.IPv4Address}};{{end}}";
    let shown = docker.args(["network", "inspect", "mine", "--format", members]).ok();
    assert!(shown.contains("one 172.18.0.2/24;") && shown.contains("two 172.18.0.3/24;"), "{shown}");
    docker.run("rm -f one").ok();
    become_records(&*cloud, &zone, &["two 10 172.18.0.3"]);
    docker.run("run -d --name three --network mine busybox sleep 1000").ok();
    become_records(&*cloud, &zone, &["three 10 172.18.0.2", "two 10 172.18.0.3"]);
}

#[test]
fn what_is_missing_or_taken_is_said_in_dockerds_words() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let failed = docker.run("run --name lost --network nope busybox true").fails(125);
    assert!(failed.contains("network nope not found"), "{failed}");
    assert_eq!(docker.run("inspect lost --format {{.State.ExitCode}}").ok(), "128");
    docker.run("network create --subnet 10.7.0.0/24 mine").ok();
    let twice = docker.run("network create mine").fails(1);
    assert!(twice.contains("network with name mine already exists"), "{twice}");
    let overlap = docker.run("network create --subnet 10.7.0.0/16 wide").fails(1);
    assert!(overlap.contains("Pool overlaps with other one on this address space"), "{overlap}");
    docker.run("run -d --name web --network mine --ip 10.7.0.5 busybox sleep 1000").ok();
    let taken = docker.run("run --network mine --ip 10.7.0.5 busybox true").fails(125);
    assert!(taken.contains("Address already in use"), "{taken}");
    let builtin = docker.run("network rm bridge").fails(1);
    assert!(builtin.contains("bridge is a pre-defined network and cannot be removed"), "{builtin}");
}

/// How the words of a failure begin.
fn tried(what: &str) -> String {
    format!("{}: {what}: ", backend().name)
}

/// Calls of zones that are to fail.
fn fail(cloud: &dyn Cloud, method: &str, code: &str, message: &str, (times, lost): (u32, bool)) {
    cloud.fail(&Fault { method, path: &cloud.zones_path(), code, message, times, lost });
}

#[test]
fn a_create_that_fails_half_way_is_told_in_the_clouds_words_and_leaves_nothing() {
    let daemon = Daemon::start();
    let docker = daemon.docker();
    let cloud = daemon.cloud();
    fail(&*cloud, cloud.makes_zones_by(), "PERMISSION_DENIED", "zones are not for you", (1, false));
    let words = docker.run("network create mine").fails(1);
    assert!(words.contains(&tried("network create")) && words.contains("zones are not for you"), "{words}");
    // The zone is made, and its answer is lost: the daemon takes back what it does not know to be there.
    fail(&*cloud, cloud.makes_zones_by(), "INTERNAL", "lost on the way", (100, true));
    fail(&*cloud, "GET", "INTERNAL", "lost on the way", (100, true));
    let words = docker.run("network create mine").fails(1);
    assert!(words.contains(&tried("network create")) && words.contains("lost on the way"), "{words}");
    assert_eq!(docker.run("network ls --filter type=custom -q").ok(), "");
    cloud.heal();
    let deadline = Instant::now() + PATIENCE;
    while !cloud.zones().is_empty() {
        assert!(Instant::now() < deadline, "{:?}", cloud.zones());
    }
    // Name and subnet are free again; after so many failures the daemon leaves the cloud alone for a while.
    while docker.run("network create mine").code != 0 {
        assert!(Instant::now() < deadline, "{}", daemon.log_text());
    }
    let subnet = "{{range .IPAM.Config}}{{.Subnet}}{{end}}";
    assert_eq!(docker.args(["network", "inspect", "mine", "--format", subnet]).ok(), "172.18.0.0/24");
}

#[test]
fn a_delete_that_fails_is_seen_in_a_label_and_tried_again() {
    let daemon = Daemon::start();
    let docker = daemon.docker();
    let cloud = daemon.cloud();
    docker.run("network create mine").ok();
    fail(&*cloud, "DELETE", "PERMISSION_DENIED", "zones stay", (1, false));
    let words = docker.run("network rm mine").fails(1);
    assert!(words.contains(&tried("network remove")) && words.contains("zones stay"), "{words}");
    let label = docker.args(["network", "ls", "--filter", "name=mine", "--format", "{{.Labels}}"]).ok();
    assert!(label.contains("sockerless.cleanup=") && label.contains("zones stay"), "{label}");
    // Nothing can be on it, and its name is another's; the daemon goes on by itself, or when it is told to.
    assert_eq!(cloud.zones().len(), 1);
    docker.run("network rm mine").ok();
    assert!(cloud.zones().is_empty());
    assert_eq!(docker.run("network ls --filter type=custom -q").ok(), "");
}

//! How the agent comes into containers: by an init container's image from the registry, or, where no repository is
//! configured, by a mount of the share.

use std::fs;

use serde_json::{Value, json};
use sockerless_tests::{
    Daemon,
    backend::ACA,
    http,
    images::{ImageSpec, busybox_layer},
    registry::Registry,
    until,
};

use super::{Azure, daemon};

/// The template of the only resource of a kind.
fn template(azure: &Azure, kind: &str) -> Value {
    let [one] = &azure.list(kind)[..] else { panic!("one of {kind}") };
    one["properties"]["template"].clone()
}

fn storages(azure: &Azure) -> Vec<Value> {
    azure.list(&format!("managedEnvironments/{}/storages", azure.text("environment")))
}

/// What an init container's template and the rest of it have to be.
fn comes_by_image(azure: &Azure, template: &Value) {
    let [init] = &template["initContainers"].as_array().unwrap()[..] else { panic!("{template}") };
    let image = init["image"].as_str().unwrap();
    let place = format!("{}/containers/sockerless-agent@sha256:", azure.text("registry"));
    assert!(image.starts_with(&place), "{image}");
    assert_eq!(template["volumes"], json!([{"name": "agent", "storageType": "EmptyDir"}]));
    let mounts = json!([{"volumeName": "agent", "mountPath": "/.sockerless"}]);
    assert_eq!(init["volumeMounts"], mounts);
    for container in template["containers"].as_array().unwrap() {
        assert_eq!(container["volumeMounts"], mounts);
    }
}

#[test]
fn with_a_repository_an_init_container_brings_it_and_no_storage_is_registered() {
    let daemon = daemon();
    let (docker, azure) = (daemon.docker(), Azure::of(&daemon));
    docker.run("run -d --name one busybox sleep 1000").ok();
    comes_by_image(&azure, &template(&azure, "jobs"));
    assert_eq!(docker.run("run --rm busybox echo works").ok(), "works");
    assert_eq!(storages(&azure), Vec::<Value>::new());
    // The agent's folder is nothing of the container's.
    assert_eq!(docker.run("diff one").ok(), "");
    docker.run("rm -f one").ok();
    until("the job goes", || azure.list("jobs").is_empty().then_some(()));
}

#[test]
fn the_containers_of_a_pod_share_one_volume_with_it() {
    let daemon = daemon();
    let (docker, azure) = (daemon.docker(), Azure::of(&daemon));
    for name in ["one", "other"] {
        docker
            .args(["create", "--name", name, "--label", "sockerless.pod=p", "busybox", "sleep", "1000"])
            .ok();
    }
    docker.run("start one other").ok();
    let template = template(&azure, "jobs");
    assert_eq!(template["containers"].as_array().unwrap().len(), 2);
    comes_by_image(&azure, &template);
    assert_eq!(docker.run("exec other echo works").ok(), "works");
}

#[test]
fn a_service_gets_it_in_the_same_way() {
    let daemon = daemon();
    let (docker, azure) = (daemon.docker(), Azure::of(&daemon));
    docker.run("run -d --name web --label sockerless.service=true --expose 80 busybox sleep 1000").ok();
    comes_by_image(&azure, &template(&azure, "containerApps"));
    assert_eq!(docker.run("exec web echo works").ok(), "works");
}

#[test]
fn without_a_repository_it_is_mounted_from_the_share() {
    // An image that the cloud pulls by itself.
    let hub = Registry::start(None).unwrap();
    hub.push(&ImageSpec::new("library/busybox:latest"), busybox_layer().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let path = file.to_str().unwrap();
    let mirror = format!("http://{}", hub.host());
    let settings = format!(
        "registry_mirrors = ['{mirror}']\n[simulator]\narguments = ['--docker-hub-mirror', '{mirror}']\n\
         [backends.aca]\nrepository = ''\n"
    );
    fs::write(&file, settings).unwrap();
    let daemon = Daemon::of(&ACA, &["--config", path], &[]);
    let (docker, azure) = (daemon.docker(), Azure::of(&daemon));
    docker.run("pull busybox").ok();
    docker.run("run -d --name one busybox sleep 1000").ok();
    assert_eq!(docker.run("exec one echo works").ok(), "works");
    let template = template(&azure, "jobs");
    assert!(template["initContainers"].as_array().is_none_or(Vec::is_empty), "{template}");
    assert_eq!(template["volumes"][0]["storageType"], "AzureFile");
    let [storage] = &storages(&azure)[..] else { panic!("one storage") };
    assert_eq!(storage["properties"]["azureFile"]["accessMode"], "ReadOnly");
}

#[test]
fn a_registry_that_takes_no_push_fails_the_start_with_what_was_being_done() {
    let daemon = daemon();
    let (docker, azure) = (daemon.docker(), Azure::of(&daemon));
    azure.want(&json!({"method": "POST", "path": "/v2/containers/sockerless-agent/blobs/uploads",
        "status": 403, "code": "DENIED", "message": "no push", "times": 1}));
    let words = docker.run("run busybox true").fails(125);
    assert!(words.contains("putting the agent's image into the registry"), "{words}");
    assert!(azure.list("jobs").is_empty());
    assert_eq!(docker.run("run --rm busybox echo works").ok(), "works");
}

#[test]
fn an_image_that_somebody_removed_fails_one_start_and_is_there_again_for_the_next() {
    let daemon = daemon();
    let (docker, azure) = (daemon.docker(), Azure::of(&daemon));
    docker.run("run -d --name one busybox sleep 1000").ok();
    let template = template(&azure, "jobs");
    let image = template["initContainers"][0]["image"].as_str().unwrap();
    let (_, digest) = image.split_once('@').unwrap();
    let manifest = format!("/v2/containers/sockerless-agent/manifests/{digest}");
    let login = format!("Bearer {}", azure.text("token"));
    let (status, answer) =
        http::request(azure.text("http"), "DELETE", &manifest, &[("Authorization", &login)], "");
    assert_eq!(status, 202, "{answer}");
    let words = docker.run("run --rm busybox true").fails(125);
    assert!(words.contains("sockerless-agent") && words.contains("MANIFEST_UNKNOWN"), "{words}");
    assert_eq!(docker.run("run --rm busybox echo again").ok(), "again");
}

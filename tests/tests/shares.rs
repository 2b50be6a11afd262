//! Volumes on Azure Files, as Resource Manager shows them: a share of each, or folders of one that is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};
use sockerless_tests::{Daemon, backend::ACA, cloud::Ready};

/// Of the providers, as the simulator's models have them.
const STORAGE: &str = "2026-09-01";
const APP: &str = "2026-07-01";

/// A path of the simulator's only group.
fn path(ready: &Ready, rest: &str, version: &str) -> String {
    let text = |name| ready.text(name);
    format!(
        "/subscriptions/{}/resourceGroups/{}/providers/{rest}?api-version={version}",
        text("subscription"),
        text("resource_group")
    )
}

fn names(ready: &Ready, rest: &str, version: &str) -> Vec<String> {
    let listed = ready.call("GET", &path(ready, rest, version), &Value::Null);
    let all = listed["value"].as_array().unwrap().iter();
    let mut names: Vec<String> = all.map(|one| one["name"].as_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    names
}

/// All shares but the agent's.
fn shares(ready: &Ready) -> Vec<String> {
    let account = ready.text("storage_account");
    let rest = format!("Microsoft.Storage/storageAccounts/{account}/fileServices/default/shares");
    names(ready, &rest, STORAGE).into_iter().filter(|name| name != "sockerless").collect()
}

/// What the environment may mount, but for the agent's share.
fn storages(ready: &Ready) -> Vec<String> {
    let rest = format!("Microsoft.App/managedEnvironments/{}/storages", ready.text("environment"));
    let all = names(ready, &rest, APP).into_iter();
    all.filter(|name| !name.starts_with("sl-sockerless-")).collect()
}

#[test]
fn a_volume_is_a_share_of_its_own_that_the_environment_is_told_of_once() {
    let daemon = Daemon::of(&ACA, &[], &[]);
    daemon.load_busybox();
    let (docker, ready) = (daemon.docker(), daemon.ready());
    // What a share cannot be called is put right, and none becomes another one's.
    let volumes = ["My.Data", "my-data", "my_data"];
    for name in volumes {
        docker.args(["volume", "create", name]).ok();
    }
    let made = shares(&ready);
    assert_eq!(made.len(), 3, "{made:?}");
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    assert!(
        made.iter().all(|name| name.starts_with("sl-my-data-") && name.len() <= 63 && name.chars().all(good))
    );
    assert!(storages(&ready).is_empty(), "nobody mounts them");
    for round in 1..=2 {
        for name in volumes {
            let script = format!("echo {name} >> /data/file; sort -u /data/file; wc -l < /data/file");
            let said =
                docker.args(["run", "--rm", "-v", &format!("{name}:/data"), "busybox", "sh", "-c", &script]);
            assert_eq!(said.ok(), format!("{name}\n{round}"));
        }
        assert_eq!(storages(&ready).len(), 3, "{:?}", storages(&ready));
    }
    docker.args(["volume", "rm", volumes[0], volumes[1], volumes[2]]).ok();
    assert!(shares(&ready).is_empty() && storages(&ready).is_empty());
}

#[test]
fn volumes_are_folders_of_a_share_that_is_there_when_the_setting_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "[backends.aca]\nvolume_share = 'given'\n").unwrap();
    let daemon = Daemon::of(&ACA, &["--config", file.to_str().unwrap()], &[]);
    daemon.load_busybox();
    let (docker, ready) = (daemon.docker(), daemon.ready());
    let words = docker.run("volume create early").fails(1);
    assert!(words.contains("aca: volume create: ") && words.contains("given"), "{words}");
    let account = ready.text("storage_account");
    let rest = format!("Microsoft.Storage/storageAccounts/{account}/fileServices/default/shares/given");
    ready.call("PUT", &path(&ready, &rest, STORAGE), &json!({"properties": {}}));
    for name in ["one", "two"] {
        docker.args(["volume", "create", name]).ok();
        let bind = format!("{name}:/data");
        let script = format!("ls /data; echo {name} > /data/{name}");
        assert_eq!(docker.args(["run", "--rm", "-v", &bind, "busybox", "sh", "-c", &script]).ok(), "");
    }
    let both = ["run", "--rm", "-v", "one:/one", "-v", "two:/two:ro", "busybox", "sh", "-c", "ls /one /two"];
    assert_eq!(docker.args(both).ok(), "/one:\none\n\n/two:\ntwo");
    assert_eq!(shares(&ready), ["given"]);
    docker.run("volume rm one two").ok();
    assert_eq!(shares(&ready), ["given"], "it is the operator's");
    docker.args(["volume", "create", "one"]).ok();
    assert_eq!(docker.run("run --rm -v one:/data busybox ls /data").ok(), "", "what was in it is gone");
}

//! Azure's own clients see what the daemon made.

use std::process::Command;

use serde_json::{Value, json};
use sockerless_tests::{Daemon, backend::ACA, python, simulator::script};

use super::Azure;

fn ask(daemon: &Daemon, what: &str) -> Value {
    let python = python::with_packages("azure-clients", python::AZURE);
    let script = script("azure_sees.py");
    let ready = daemon.state().join("simulator-aca/ready.json");
    let seen = Command::new(python).arg(script).arg(ready).arg(what).output().unwrap();
    assert!(seen.status.success(), "{}", String::from_utf8_lossy(&seen.stderr));
    serde_json::from_slice(&seen.stdout).unwrap()
}

#[test]
fn azures_own_clients_see_jobs_apps_shares_and_records_with_whose_they_are() {
    let zone = "sockerless.internal";
    let daemon = Daemon::of(&ACA, &[], &[("SOCKERLESS_ACA_DNS_ZONE", zone)]);
    daemon.load_busybox();
    let docker = daemon.docker();
    // The operator's part.
    ask(&daemon, "zone");
    docker.run("network create --label team=a net").ok();
    docker.run("volume create --label kind=cache data").ok();
    let one = docker.run("run -d --name one --network net -v data:/data busybox sleep 1000").ok();
    let web = "run -d --name web --label sockerless.service=true --expose 8080 busybox sleep 1000";
    docker.run(web).ok();
    let address = docker.shows("one", "{{(index .NetworkSettings.Networks \"net\").IPAddress}}");

    let seen = ask(&daemon, "look");
    let [job] = &seen["jobs"].as_array().unwrap()[..] else { panic!("{seen}") };
    let tags = &job["tags"];
    assert_eq!((&tags["managed-by"], &tags["sockerless-name"]), (&json!("sockerless"), &json!("one")));
    assert_eq!(tags["sockerless-container"], json!(one));
    let owner = tags["sockerless-owner"].as_str().unwrap();
    assert_eq!(job["executions"], json!(["Running"]));
    let [app] = &seen["apps"].as_array().unwrap()[..] else { panic!("{seen}") };
    assert_eq!(
        (&app["tags"]["sockerless-name"], &app["tags"]["sockerless-owner"]),
        (&json!("web"), &json!(owner))
    );
    assert_eq!((&app["ports"], &app["replicas"]), (&json!([8080]), &json!(["Running"])));

    let shares = seen["shares"].as_object().unwrap();
    let (share, metadata) = shares.iter().find(|(name, _)| name.starts_with("sl-data-")).unwrap();
    assert_eq!(metadata["sockerless_volume"], "data");
    assert_eq!(metadata["sockerless_owner"], owner);
    // The environment was told of it, and of nothing for the agent, which comes by an image.
    let storages = seen["storages"].as_object().unwrap();
    assert!(storages.values().any(|known| known == &json!([share, "ReadWrite"])), "{storages:?}");
    assert_eq!(storages.len(), 1, "{storages:?}");

    let records = seen["records"].as_object().unwrap();
    let (_, found) = records.iter().find(|(name, _)| name.starts_with("one.")).unwrap();
    assert_eq!(found, &json!([address]));
    assert!(seen["texts"].to_string().contains(owner), "{}", seen["texts"]);
    assert_eq!(Azure::of(&daemon).list("jobs").len(), 1);
}

use sockerless_plugin_sdk::{
    Jobs as _, Method,
    jobs::{JobStatus, Phase, WorkloadKind},
    testing::response,
};

use super::*;
use crate::testing::{asked, plugin, refused, spec};

fn service(ports: Vec<u16>) -> Spec {
    let mut spec = Spec { kind: WorkloadKind::Service, ..spec() };
    spec.containers[0].ports = ports;
    spec
}

#[test]
fn a_service_is_an_app_with_tcp_from_within_the_environment() {
    let (plugin, host) = plugin(|request| match request.method {
        Method::Get => refused(404, "ResourceNotFound"),
        _ => response(201, "{}"),
    });
    let init = vec![crate::testing::container()];
    let handle = plugin.create(Spec { init, ..service(vec![5432, 80, 80]) }).unwrap();
    assert!(handle.started);
    assert_eq!(asked(&host)[1], "PUT RG/providers/Microsoft.App/containerApps/sl-abc-1");
    let body = crate::testing::body(&host.requests()[1]);
    assert_eq!(
        body["properties"]["configuration"]["ingress"],
        json!({"external": false, "transport": "tcp", "targetPort": 80, "exposedPort": 8080,
            "additionalPortMappings": [{"external": false, "targetPort": 5432, "exposedPort": 5432}]})
    );
    let template = &body["properties"]["template"];
    assert_eq!(template["scale"], json!({"minReplicas": 1, "maxReplicas": 1}));
    assert_eq!(template["initContainers"].as_array().unwrap().len(), 1);
}

#[test]
fn ports_that_azure_keeps_for_http_are_dialled_at_others() {
    let of = |ports: &[u16]| exposed(&ports.iter().copied().collect());
    assert_eq!(of(&[80, 443, 8081]), [(80, 8080), (443, 8443), (8081, 8081)]);
    assert_eq!(of(&[80, 8080, 8081]), [(80, 8082), (8080, 8080), (8081, 8081)]);
}

#[test]
fn more_ports_than_azure_has_are_refused() {
    assert!(ingress(&service((1..=6).collect())).is_ok());
    assert_eq!(ingress(&service((1..=7).collect())).unwrap_err().code, ErrorCode::Unsupported);
    assert_eq!(ingress(&service(vec![])).unwrap(), None);
}

#[test]
fn what_an_app_cannot_have_is_refused() {
    let (plugin, host) = plugin(|_| response(201, "{}"));
    let timed = plugin.create(Spec { timeout_seconds: Some(9), ..service(vec![80]) }).unwrap_err();
    assert!(timed.message.contains("runs until it is stopped"), "{}", timed.message);
    assert!(plugin.create(Spec { containers: vec![], ..service(vec![80]) }).is_err());
    assert!(host.requests().is_empty());
}

fn app(state: &str, running: &str) -> Value {
    json!({"name": "a", "properties":
        {"provisioningState": state, "runningStatus": running, "latestRevisionName": "a--r1"}})
}

fn replica(name: &str, created: &str, state: &str, restarts: u32, details: &str) -> Value {
    let main = json!({"name": "main", "restartCount": restarts, "runningState": state, "runningStateDetails": details});
    json!({"name": name, "properties": {"createdTime": created, "containers": [{"name": "other"}, main]}})
}

/// The status of one that an earlier look found in a replica, if it did.
fn status(app: Value, replicas: Vec<Value>, known: Option<&str>) -> JobStatus {
    let state =
        State { app: true, main: "main".into(), execution: known.map(Into::into), ..State::default() };
    let (plugin, host) = plugin(move |request| match request.url.contains("/revisions/a--r1/replicas?") {
        true => response(200, json!({"value": replicas})),
        false => response(200, &app),
    });
    let status = plugin.status(vec![state.handle("a", true)]).unwrap().remove(0);
    assert!(host.requests().iter().all(|request| request.method == Method::Get));
    status
}

#[test]
fn an_app_runs_from_when_its_container_runs_until_it_is_stopped() {
    let phase = |app, replicas| status(app, replicas, None).phase;
    let ready = || app("Succeeded", "Running");
    assert_eq!(phase(app("InProgress", ""), vec![]), Phase::Starting);
    assert_eq!(phase(ready(), vec![]), Phase::Starting);
    assert_eq!(phase(ready(), vec![replica("r1", "1", "Waiting", 0, "")]), Phase::Starting);
    assert_eq!(phase(ready(), vec![replica("r1", "1", "Running", 0, "")]), Phase::Running);
    assert_eq!(phase(app("Succeeded", "Stopped"), vec![]), Phase::Cancelled);
    assert_eq!(phase(app("Failed", ""), vec![]), Phase::Failed);
    let (plugin, _) = plugin(|_| refused(404, "ResourceNotFound"));
    let gone = State { app: true, ..State::default() }.handle("a", true);
    assert_eq!(plugin.status(vec![gone]).unwrap()[0].phase, Phase::Absent);
}

const OPERATION: &str = "https://management.azure.com/subscriptions/s/providers/Microsoft.App/locations/w/containerappOperationStatuses/1";

#[test]
fn an_app_that_could_not_be_made_says_why_in_its_operations_words() {
    let begun = crate::testing::with(response(201, "{}"), "azure-asyncoperation", OPERATION);
    let (creating, _) = plugin(move |request| match request.method {
        Method::Get => refused(404, "ResourceNotFound"),
        _ => begun.clone(),
    });
    let handle = creating.create(service(vec![80])).unwrap();
    let failed =
        json!({"status": "Failed", "error": {"code": "InvalidTemplate", "message": "no such image"}});
    for there in [true, false] {
        let failed = failed.clone();
        let (later, _) = plugin(move |request| match request.url.contains("containerappOperationStatuses") {
            true => response(200, &failed),
            false if there => response(200, app("Failed", "")),
            false => refused(404, "ResourceNotFound"),
        });
        let told = later.status(vec![handle.clone()]).unwrap().remove(0);
        assert_eq!(
            (told.phase, told.reason.as_str(), told.message.as_str()),
            (Phase::Failed, "InvalidTemplate", "no such image"),
            "{there}"
        );
    }
    let told = status(app("Failed", ""), vec![], None);
    assert_eq!((told.phase, told.reason.as_str()), (Phase::Failed, "ProvisioningFailed"));
    assert_eq!(told.message, "Container Apps could not create the app");
}

#[test]
fn many_apps_are_asked_for_in_two_rounds() {
    let (plugin, host) = plugin(|request| match request.url.contains("/replicas?") {
        true => response(200, json!({"value": [replica("r1", "1", "Running", 0, "")]})),
        false => response(200, app("Succeeded", "Running")),
    });
    let state = State { app: true, main: "main".into(), ..State::default() };
    let handles = ["a", "b", "c"].map(|name| state.handle(name, true)).to_vec();
    let all = plugin.status(handles).unwrap();
    assert_eq!(all.iter().map(|told| told.handle.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(all.iter().all(|told| told.phase == Phase::Running));
    let asked = asked(&host);
    assert!(asked[..3].iter().all(|line| !line.ends_with("/replicas")), "{asked:?}");
    assert!(asked.len() == 6 && asked[3..].iter().all(|line| line.ends_with("/replicas")), "{asked:?}");
}

#[test]
fn a_container_that_was_started_anew_has_failed_and_its_exit_code_is_unknown() {
    let told = status(app("Succeeded", "Running"), vec![replica("r1", "1", "Running", 1, "OOMKilled")], None);
    assert_eq!((told.phase, told.exit_code, told.reason.as_str()), (Phase::Failed, None, "OOMKilled"));
    assert_eq!(told.poll_after_ms, None);
}

#[test]
fn an_app_whose_init_container_fails_again_and_again_has_failed() {
    let with = |restarts: u32| {
        let mut replica = replica("r1", "1", "Waiting", 0, "");
        let init = json!({"name": "agent", "restartCount": restarts, "runningState": "Waiting", "runningStateDetails": "Error"});
        replica["properties"]["initContainers"] = json!([init]);
        status(app("Succeeded", "Running"), vec![replica], None)
    };
    assert_eq!(with(0).phase, Phase::Starting);
    let told = with(1);
    assert_eq!((told.phase, told.reason.as_str()), (Phase::Failed, "InitContainerFailed"));
    assert!(
        told.message.contains("the container agent") && told.message.ends_with(": Error"),
        "{}",
        told.message
    );
}

#[test]
fn the_first_replica_is_remembered_and_another_in_its_place_is_its_end() {
    let both = || vec![replica("r2", "2", "Waiting", 0, ""), replica("r1", "1", "Running", 0, "")];
    let told = status(app("Succeeded", "Running"), both(), None);
    assert_eq!(told.phase, Phase::Running);
    let state = State::of(&told.handle).unwrap();
    assert_eq!((state.execution.as_deref(), state.app), (Some("r1"), true));
    let after = |replicas| status(app("Succeeded", "Running"), replicas, Some("r1"));
    assert_eq!(after(both()).phase, Phase::Running);
    let moved = after(vec![replica("r2", "2", "Running", 0, "")]);
    assert_eq!((moved.phase, moved.reason.as_str()), (Phase::Failed, "ReplicaReplaced"));
}

#[test]
fn who_may_not_look_at_apps_has_none_and_the_log_says_so() {
    let (plugin, host) = plugin(|_| refused(403, "AuthorizationFailed"));
    let page = plugin.list("d0".into(), Some(CURSOR.into())).unwrap();
    assert!(page.items.is_empty() && page.next.is_none());
    let (level, line) = host.lines().remove(0);
    assert!(level == Level::Warn && line.contains("said AuthorizationFailed"), "{line}");
    // Of the jobs it is an error: the daemon is not to take them for gone.
    assert_eq!(plugin.list("d0".into(), None).unwrap_err().code, ErrorCode::PermissionDenied);
}

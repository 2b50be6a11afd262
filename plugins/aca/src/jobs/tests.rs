use serde_json::{Value, json};
use sockerless_plugin_sdk::{Method, testing::response};

use super::*;
use crate::testing::{GROUP, asked, body, host, on, plugin, refused, spec, with};

const OPERATION: &str =
    "https://management.azure.com/subscriptions/s/providers/Microsoft.App/locations/w/operationStatuses/1";

fn handle(state: &str, started: bool) -> Handle {
    Handle { name: "sl-abc-1".into(), state: state.into(), started }
}

fn job(state: &str) -> Value {
    json!({
        "name": "sl-abc-1",
        "tags": names::tags(&spec()),
        "systemData": {"createdAt": "2026-01-01T00:00:00Z"},
        "properties": {"provisioningState": state, "template": {"containers": [{"name": "main"}]}},
    })
}

/// A group in which each path below the job answers what is given; 404 for others.
fn holding(answers: Vec<(&'static str, &'static str, Response)>) -> impl Fn(&Request) -> Response {
    move |request| {
        let path = request.url.split('?').next().unwrap();
        let of = |(method, end, _): &&(&str, &str, Response)| {
            request.method.as_str() == *method && path.ends_with(end)
        };
        answers
            .iter()
            .find(of)
            .map_or_else(|| refused(404, "ResourceNotFound"), |(_, _, answer)| answer.clone())
    }
}

fn executions(all: Value) -> Response {
    response(200, json!({"value": all}))
}

#[test]
fn create_looks_first_then_puts_and_waits_for_nothing() {
    let answer = with(response(201, job("InProgress")), "azure-asyncoperation", OPERATION);
    let (plugin, host) = on(host().at(7000).answering(holding(vec![("PUT", "/jobs/sl-abc-1", answer)])));
    let created = plugin.create(spec()).unwrap();
    assert_eq!((created.name.as_str(), created.started), ("sl-abc-1", false));
    assert_eq!(created.state, format!(r#"{{"c":7000,"o":"{OPERATION}","m":"main"}}"#));
    assert_eq!(
        asked(&host),
        ["GET RG/providers/Microsoft.App/jobs/sl-abc-1", "PUT RG/providers/Microsoft.App/jobs/sl-abc-1"]
    );
    let put = &host.requests()[1];
    assert_eq!(put.credential.as_deref(), Some("azure-arm"));
    assert!(put.url.ends_with("?api-version=2026-07-01"));
    assert_eq!(body(put)["location"], "westeurope");
}

#[test]
fn the_same_spec_again_gives_the_same_job_and_another_is_refused() {
    let (plugin, host) = plugin(holding(vec![("GET", "/jobs/sl-abc-1", response(200, job("Succeeded")))]));
    assert!(!plugin.create(spec()).unwrap().started);
    let refused = plugin.create(Spec { timeout_seconds: Some(9), ..spec() }).unwrap_err();
    assert_eq!(refused.code, ErrorCode::AlreadyExists);
    assert!(host.requests().iter().all(|request| request.method == Method::Get));
}

#[test]
fn a_job_that_is_being_deleted_is_waited_for() {
    let (plugin, _) = plugin(holding(vec![("GET", "/jobs/sl-abc-1", response(200, job("Deleting")))]));
    assert_eq!(plugin.create(spec()).unwrap_err().code, ErrorCode::NotReady);
}

#[test]
fn a_job_that_is_still_being_made_is_started_when_azure_says() {
    let answer = with(response(200, job("InProgress")), "retry-after", "3");
    let (plugin, _) = plugin(holding(vec![("GET", "/jobs/sl-abc-1", answer)]));
    let error = plugin.start(handle("", false)).unwrap_err();
    assert_eq!((error.code, error.retry_after_ms), (ErrorCode::NotReady, Some(3000)));
}

#[test]
fn a_job_that_cannot_be_seen_yet_is_waited_for_and_one_that_never_came_is_not_found() {
    let (plugin, _) = on(host().at(50_000).answering(|_| refused(404, "ResourceNotFound")));
    assert_eq!(plugin.start(handle(r#"{"c":40000}"#, false)).unwrap_err().code, ErrorCode::NotReady);
    assert_eq!(plugin.start(handle("", false)).unwrap_err().code, ErrorCode::NotFound);
}

#[test]
fn a_start_has_no_body_and_is_not_repeated() {
    let path = format!(
        "https://management.azure.com{GROUP}/providers/Microsoft.App/jobs/sl-abc-1/executions/sl-abc-1-x1"
    );
    let started = response(200, json!({"name": "sl-abc-1-x1", "id": path}));
    let ready = response(200, job("Succeeded"));
    let answers = |known: Value| {
        holding(vec![
            ("GET", "/jobs/sl-abc-1", ready.clone()),
            ("GET", "/executions", executions(known)),
            ("POST", "/start", started.clone()),
        ])
    };
    let (first, host) = plugin(answers(json!([])));
    let now = first.start(handle("", false)).unwrap();
    assert_eq!((now.started, now.state.as_str()), (true, r#"{"x":"sl-abc-1-x1","m":"main"}"#));
    let start = host.requests().pop().unwrap();
    assert_eq!((start.method, start.body), (Method::Post, None));
    let (second, host) =
        plugin(answers(json!([{"name": "sl-abc-1-x0", "properties": {"status": "Running"}}])));
    assert!(second.start(handle("", false)).unwrap().state.contains("sl-abc-1-x0"));
    assert!(!asked(&host).iter().any(|line| line.starts_with("POST")));
}

#[test]
fn a_start_that_lasts_is_followed_until_it_names_the_execution() {
    let begun = with(response(202, ""), "location", OPERATION);
    let (starting, _) = plugin(holding(vec![
        ("GET", "/jobs/sl-abc-1", response(200, job("Succeeded"))),
        ("GET", "/executions", executions(json!([]))),
        ("POST", "/start", begun),
    ]));
    let started = starting.start(handle("", false)).unwrap();
    assert_eq!(started.state, format!(r#"{{"o":"{OPERATION}","m":"main"}}"#));
    let told = response(200, json!({"name": "sl-abc-1-x1", "id": "/x/executions/sl-abc-1-x1"}));
    let (later, _) = plugin(holding(vec![
        ("GET", "/operationStatuses/1", told),
        ("GET", "/executions", executions(json!([]))),
        ("GET", "/jobs/sl-abc-1", response(200, job("Succeeded"))),
    ]));
    let status = later.status(vec![started]).unwrap().remove(0);
    assert_eq!(status.phase, Phase::Starting);
    assert!(status.handle.state.contains(r#""x":"sl-abc-1-x1""#), "{}", status.handle.state);
}

/// The status of what was started by `OPERATION`, with what the operation answers.
fn started(answer: Response, now: u64) -> JobStatus {
    let (plugin, _) = on(host().at(now).answering(holding(vec![
        ("GET", "/operationStatuses/1", answer),
        ("GET", "/executions", executions(json!([]))),
        ("GET", "/jobs/sl-abc-1", response(200, job("Succeeded"))),
    ])));
    let handle = handle(&format!(r#"{{"c":1000,"u":1000,"o":"{OPERATION}"}}"#), true);
    plugin.status(vec![handle]).unwrap().remove(0)
}

#[test]
fn a_start_whose_operation_fails_has_failed_with_azures_words() {
    for status in [409, 412] {
        let told = started(refused(status, "ManagedEnvironmentCoreQuotaExceeded"), 2000);
        assert_eq!(
            (told.phase, told.reason.as_str(), told.message.as_str()),
            (
                Phase::Failed,
                "ManagedEnvironmentCoreQuotaExceeded",
                "said ManagedEnvironmentCoreQuotaExceeded"
            ),
            "{status}"
        );
    }
}

#[test]
fn a_start_of_which_no_execution_comes_has_failed_after_a_while_unless_its_operation_goes_on() {
    let late = 1000 + limits::UNSEEN_MS;
    let forgotten = || refused(404, "OperationNotFound");
    assert_eq!(started(forgotten(), late - 1).phase, Phase::Starting);
    let told = started(forgotten(), late);
    assert_eq!((told.phase, told.reason.as_str()), (Phase::Failed, "NoExecution"));
    assert_eq!(started(response(202, ""), late).phase, Phase::Starting);
    // Who may not ask for operations, or no longer so, or asks while a server is down, learns nothing of the start.
    for status in [400, 403, 405, 410, 503] {
        assert_eq!(started(refused(status, "Whatever"), 2000).phase, Phase::Starting, "{status}");
        let told = started(refused(status, "Whatever"), late);
        assert!(told.message.ends_with("no execution of it: said Whatever"), "{}", told.message);
    }
}

#[test]
fn an_execution_that_was_named_and_never_comes_has_failed_after_a_while_and_its_operation_says_why() {
    let named = |state: &str, now, operation: Response| {
        let (plugin, _) = on(host().at(now).answering(holding(vec![
            ("GET", "/operationStatuses/1", operation),
            ("GET", "/jobs/sl-abc-1", response(200, job("Succeeded"))),
        ])));
        plugin.status(vec![handle(state, true)]).unwrap().remove(0)
    };
    let state = format!(r#"{{"c":1000,"o":"{OPERATION}","x":"x1","m":"main"}}"#);
    let failed = named(&state, 2000, refused(409, "NoRoom"));
    assert_eq!((failed.phase, failed.message.as_str()), (Phase::Failed, "said NoRoom"));
    // However old it is: from the first time on that it was not found.
    let done = || response(204, "");
    let begin = 10 * limits::UNSEEN_MS;
    let first = named(&state, begin, done());
    assert_eq!(first.phase, Phase::Starting);
    assert!(first.handle.state.contains(&format!(r#""u":{begin}"#)), "{}", first.handle.state);
    let again = named(&first.handle.state, begin + limits::UNSEEN_MS - 1, done());
    assert_eq!((again.phase, &again.handle.state), (Phase::Starting, &first.handle.state));
    let last = named(&first.handle.state, begin + limits::UNSEEN_MS, done());
    assert_eq!((last.phase, last.reason.as_str()), (Phase::Failed, "NoExecution"));
}

#[test]
fn an_execution_that_is_found_again_was_not_missing() {
    let running = json!({"name": "x1", "properties": {"status": "Running"}});
    let (plugin, _) = plugin(holding(vec![("GET", "/executions/x1", response(200, running))]));
    let status = plugin.status(vec![handle(r#"{"x":"x1","u":9,"m":"main"}"#, true)]).unwrap().remove(0);
    assert_eq!((status.phase, status.handle.state.as_str()), (Phase::Running, r#"{"x":"x1","m":"main"}"#));
}

#[test]
fn a_job_that_could_not_be_made_says_why() {
    let failed = json!({"status": "Failed", "error": {"code": "InvalidParameterValueInContainerTemplate", "message": "no such storage"}});
    let (plugin, _) = plugin(holding(vec![
        ("GET", "/jobs/sl-abc-1", response(200, job("Failed"))),
        ("GET", "/operationStatuses/1", response(200, failed)),
    ]));
    let known = handle(&format!(r#"{{"o":"{OPERATION}"}}"#), false);
    let error = plugin.start(known.clone()).unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (ErrorCode::InvalidArgument, "starting the job sl-abc-1: no such storage")
    );
    let status = plugin.status(vec![known]).unwrap().remove(0);
    assert_eq!((status.phase, status.message.as_str()), (Phase::Failed, "no such storage"));
}

#[test]
fn an_ended_execution_has_the_exit_code_of_its_main_container() {
    let ended = json!({"name": "x1", "properties": {"status": "Failed",
        "detailedStatus": {"replicas": [{"containers": [{"name": "main", "code": 7}]}]}}});
    let (plugin, host) = plugin(holding(vec![("GET", "/executions/x1", response(200, ended))]));
    let status = plugin.status(vec![handle(r#"{"x":"x1","m":"main"}"#, true)]).unwrap().remove(0);
    assert_eq!((status.phase, status.exit_code, status.poll_after_ms), (Phase::Failed, Some(7), None));
    assert_eq!(host.requests().len(), 1);
}

#[test]
fn what_is_gone_is_absent_and_an_error_of_the_provider_is_not_taken_for_absence() {
    let (gone, _) = plugin(|_| refused(404, "ResourceNotFound"));
    assert_eq!(gone.status(vec![handle(r#"{"x":"x1"}"#, true)]).unwrap()[0].phase, Phase::Absent);
    let (slow, _) = plugin(|_| with(refused(429, "TooManyRequests"), "retry-after", "9"));
    let error = slow.status(vec![handle(r#"{"x":"x1"}"#, true)]).unwrap_err();
    assert_eq!((error.code, error.retry_after_ms), (ErrorCode::QuotaExceeded, Some(9000)));
}

#[test]
fn what_runs_is_stopped_by_its_execution_and_what_ended_needs_no_stop() {
    let state = r#"{"x":"x1","m":"main"}"#;
    let (running, host) = plugin(holding(vec![("POST", "/executions/x1/stop", response(202, ""))]));
    assert!(running.stop(handle(state, true), 5).is_ok());
    assert_eq!(asked(&host), ["POST RG/providers/Microsoft.App/jobs/sl-abc-1/executions/x1/stop"]);
    let ended = json!({"name": "x1", "properties": {"status": "Succeeded"}});
    let (ended, _) = plugin(holding(vec![
        ("POST", "/stop", refused(400, "JobExecutionNotRunning")),
        ("GET", "/executions/x1", response(200, ended)),
    ]));
    assert!(ended.stop(handle(state, true), 5).is_ok());
    let (gone, _) = plugin(|_| refused(404, "ResourceNotFound"));
    assert!(gone.stop(handle(state, true), 5).is_ok() && gone.stop(handle("", true), 5).is_ok());
}

#[test]
fn what_has_not_begun_is_stopped_later() {
    let (plugin, _) = plugin(holding(vec![
        ("GET", "/jobs/sl-abc-1", response(200, job("Succeeded"))),
        ("GET", "/executions", executions(json!([]))),
    ]));
    assert_eq!(plugin.stop(handle("", true), 5).unwrap_err().code, ErrorCode::NotReady);
}

#[test]
fn deleting_what_is_gone_is_no_error() {
    let (gone, host) = plugin(|_| refused(404, "ResourceNotFound"));
    assert!(gone.delete(handle("", true)).is_ok());
    assert_eq!(asked(&host), ["DELETE RG/providers/Microsoft.App/jobs/sl-abc-1"]);
    let (denied, _) = plugin(|_| refused(403, "AuthorizationFailed"));
    assert_eq!(denied.delete(handle("", true)).unwrap_err().code, ErrorCode::PermissionDenied);
}

#[test]
fn a_deletion_that_was_accepted_is_asked_for_again_until_there_is_nothing_to_delete() {
    for (status, code) in [(202, None), (409, Some("ContainerAppOperationInProgress"))] {
        let (busy, _) =
            plugin(move |_| code.map_or_else(|| response(status, ""), |code| refused(status, code)));
        assert_eq!(busy.delete(handle("", true)).unwrap_err().code, ErrorCode::NotReady, "{status}");
    }
    let (waiting, _) = plugin(|_| with(response(202, ""), "retry-after", "5"));
    assert_eq!(waiting.delete(handle("", true)).unwrap_err().retry_after_ms, Some(5000));
    let (done, _) = plugin(|_| response(204, ""));
    assert_eq!(done.delete(handle("", true)), Ok(()));
}

#[test]
fn a_listing_has_the_owners_jobs_with_labels_and_then_the_apps() {
    let labelled = Spec {
        name: "sl-0123456789ab-1234567-deadbeef0".into(),
        labels: vec![("a".into(), "Ü b".into())],
        ..spec()
    };
    let mut own = job("Succeeded");
    own["name"] = json!(names::job(&labelled.name));
    own["tags"] = json!(names::tags(&labelled));
    let mut other = job("Succeeded");
    other["tags"] = json!(names::tags(&Spec { owner: "d1".into(), ..spec() }));
    let running = json!([{"name": "x1", "properties": {"status": "Running"}}]);
    let (plugin, _) = plugin(holding(vec![
        ("GET", "/executions", executions(running)),
        ("GET", "/Microsoft.App/jobs", response(200, json!({"value": [own, other]}))),
        ("GET", "/Microsoft.App/containerApps", response(200, json!({"value": []}))),
    ]));
    let page = plugin.list("d0".into(), None).unwrap();
    let (status, labels) = &page.items[0];
    assert_eq!(page.items.len(), 1);
    assert_eq!((status.handle.name.as_str(), status.phase), (labelled.name.as_str(), Phase::Running));
    assert_eq!(labels, &labelled.labels);
    assert_eq!(page.next.as_deref(), Some("apps:"));
    let apps = plugin.list("d0".into(), page.next).unwrap();
    assert!(apps.items.is_empty() && apps.next.is_none());
}

use std::{cell::RefCell, collections::BTreeMap};

use serde_json::{Value, json};
use sockerless_plugin_sdk::{Method, Response, testing::response};

use super::*;
use crate::testing::{plugin, spec};

const PARENT: &str = "projects/proj/locations/us-central1";

/// A Cloud Run that holds resources by their name.
fn holding(resources: Vec<(&str, Value)>) -> impl Fn(&Request) -> Response + use<> {
    let resources: BTreeMap<String, Value> =
        resources.into_iter().map(|(name, value)| (format!("{PARENT}/{name}"), value)).collect();
    move |request| {
        let name = request.url.split("/v2/").nth(1).unwrap().split('?').next().unwrap();
        match resources.get(name) {
            Some(value) if request.method == Method::Get => response(200, value),
            Some(_) => response(200, json!({"name": "op"})),
            None => {
                response(404, json!({"error": {"code": 404, "message": "not found", "status": "NOT_FOUND"}}))
            }
        }
    }
}

fn started(state: &str) -> Handle {
    Handle { name: "a".into(), state: state.into(), started: true }
}

fn one(resources: Vec<(&str, Value)>, handle: Handle) -> JobStatus {
    let (plugin, _) = plugin(holding(resources));
    plugin.status(vec![handle]).unwrap().remove(0)
}

fn error(status: u16, name: &str) -> Response {
    response(status, json!({"error": {"code": status, "message": format!("said {name}"), "status": name}}))
}

#[test]
fn create_is_one_call_that_waits_for_nothing() {
    let (plugin, host) =
        plugin(|_| response(200, json!({"name": format!("{PARENT}/operations/1"), "done": false})));
    let handle = plugin.create(spec()).unwrap();
    assert_eq!((handle.name.as_str(), handle.started), ("sl-abc-1", true));
    assert_eq!(handle.state, format!(r#"{{"o":"{PARENT}/operations/1"}}"#));
    let requests = host.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].url, format!("https://run.googleapis.com/v2/{PARENT}/jobs?jobId=sl-abc-1"));
    assert_eq!(requests[0].credential.as_deref(), Some("google"));
}

#[test]
fn the_same_spec_again_gives_the_same_job_and_another_is_refused() {
    let job = json!({"name": "x", "annotations": {"sockerless-spec": names::fingerprint(&spec())},
        "latestCreatedExecution": {"name": "sl-abc-1-run"}});
    let answer = move |request: &Request| match request.method {
        Method::Post => error(409, "ALREADY_EXISTS"),
        _ => response(200, &job),
    };
    let (plugin, _) = plugin(answer);
    let handle = plugin.create(spec()).unwrap();
    assert_eq!((handle.started, handle.state.as_str()), (true, r#"{"x":"sl-abc-1-run"}"#));
    let refused = plugin.create(Spec { timeout_seconds: Some(9), ..spec() }).unwrap_err();
    assert_eq!(refused.code, ErrorCode::AlreadyExists);
    assert!(refused.message.contains("said ALREADY_EXISTS"), "{}", refused.message);
}

#[test]
fn a_job_that_is_being_deleted_is_waited_for() {
    let (plugin, _) = plugin(|request| match request.method {
        Method::Post => error(409, "ALREADY_EXISTS"),
        _ => response(200, json!({"deleteTime": "2026-01-01T00:00:00Z"})),
    });
    let refused = plugin.create(spec()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotReady);
    assert!(refused.retry_after_ms.is_some());
}

#[test]
fn a_wrong_project_and_an_expired_token_keep_googles_words() {
    for (status, name, code) in [
        (403, "PERMISSION_DENIED", ErrorCode::PermissionDenied),
        (401, "UNAUTHENTICATED", ErrorCode::Unauthenticated),
    ] {
        let (plugin, _) = plugin(move |_| error(status, name));
        let refused = plugin.create(spec()).unwrap_err();
        assert_eq!((refused.code, refused.provider_status), (code, Some(status)));
        assert!(refused.message.contains(name));
    }
}

#[test]
fn starting_until_the_operation_has_made_the_execution() {
    let state = format!(r#"{{"o":"{PARENT}/operations/1"}}"#);
    let status = one(vec![("operations/1", json!({"name": "o", "done": false}))], started(&state));
    assert_eq!((status.phase, status.poll_after_ms), (Phase::Starting, Some(100)));
    assert_eq!(status.handle.state, state);
}

#[test]
fn a_failed_operation_ends_it_with_googles_words() {
    let operation = json!({"name": "o", "done": true, "error": {"code": 3, "message": "no such image"}});
    let status =
        one(vec![("operations/1", operation)], started(&format!(r#"{{"o":"{PARENT}/operations/1"}}"#)));
    assert_eq!((status.phase, status.message.as_str()), (Phase::Failed, "no such image"));
    assert_eq!(
        (status.reason.as_str(), status.exit_code, status.poll_after_ms),
        ("INVALID_ARGUMENT", None, None)
    );
}

#[test]
fn an_ended_execution_has_the_exit_code_of_its_task() {
    let execution =
        json!({"name": "x/executions/a-run", "completionTime": "2026-01-01T00:00:00Z", "failedCount": 1});
    let tasks = json!({"tasks": [{"name": "t", "lastAttemptResult": {"exitCode": 7}}]});
    let status = one(
        vec![("jobs/a/executions/a-run", execution), ("jobs/a/executions/a-run/tasks", tasks)],
        started(""),
    );
    assert_eq!((status.phase, status.exit_code), (Phase::Failed, Some(7)));
    assert_eq!(status.handle.state, r#"{"x":"a-run"}"#);
}

#[test]
fn a_listed_task_without_its_result_is_asked_for_by_name() {
    let execution = json!({"name": "a-run", "completionTime": "2026-01-01T00:00:00Z", "failedCount": 1});
    let task = format!("{PARENT}/jobs/a/executions/a-run/tasks/a-run-task0");
    let status = one(
        vec![
            ("jobs/a/executions/a-run", execution),
            ("jobs/a/executions/a-run/tasks", json!({"tasks": [{"name": task}]})),
            ("jobs/a/executions/a-run/tasks/a-run-task0", json!({"lastAttemptResult": {"termSignal": 9}})),
        ],
        started(""),
    );
    assert_eq!(status.term_signal, Some(9));
}

#[test]
fn an_execution_with_an_unexpected_name_is_found_through_the_job() {
    let status = one(
        vec![
            ("operations/1", json!({"name": "o", "done": true})),
            (
                "jobs/a",
                json!({"name": "a", "latestCreatedExecution": {"name": format!("{PARENT}/jobs/a/executions/a-xyz12")}}),
            ),
            ("jobs/a/executions/a-xyz12", json!({"name": "a-xyz12", "runningCount": 1})),
        ],
        started(&format!(r#"{{"o":"{PARENT}/operations/1"}}"#)),
    );
    assert_eq!(status.phase, Phase::Running);
    assert_eq!(State::of(&status.handle).unwrap().execution.as_deref(), Some("a-xyz12"));
}

#[test]
fn a_job_that_is_gone_is_absent_and_one_that_was_not_started_is_created() {
    assert_eq!(one(vec![], started("")).phase, Phase::Absent);
    let idle = Handle { started: false, ..started("") };
    assert_eq!(one(vec![("jobs/a", json!({"name": "a"}))], idle.clone()).phase, Phase::Created);
    assert_eq!(one(vec![], idle).phase, Phase::Absent);
}

#[test]
fn many_handles_are_answered_from_a_listing_in_their_order() {
    let listed: Vec<Value> = (0..30)
        .rev()
        .map(|i| {
            json!({"name": format!("{PARENT}/jobs/a{i}/executions/a{i}-run"), "runningCount": 1,
            "conditions": [{"type": "Completed", "state": "CONDITION_PENDING"}]})
        })
        .collect();
    let (plugin, host) = plugin(holding(vec![("jobs/-/executions", json!({"executions": listed}))]));
    let handles =
        (0..31).map(|i| Handle { name: format!("a{i}"), state: String::new(), started: true }).collect();
    let all = plugin.status(handles).unwrap();
    assert_eq!(all[7].handle.name, "a7");
    assert!(all[..30].iter().all(|status| status.phase == Phase::Running));
    assert_eq!(all[30].phase, Phase::Absent);
    // The listing; for the one that it lacks its execution and its job.
    assert_eq!(host.requests().len(), 3);
}

#[test]
fn a_listed_execution_that_does_not_say_how_it_ended_is_asked_for() {
    let name = format!("{PARENT}/jobs/a/executions/a-run");
    let listed =
        json!({"executions": [{"name": name, "completionTime": "2026-01-01T00:00:00Z", "failedCount": 1}]});
    let whole = json!({"name": name, "completionTime": "2026-01-01T00:00:00Z",
        "conditions": [{"type": "Completed", "state": "CONDITION_FAILED", "executionReason": "CANCELLED"}]});
    let (plugin, _) =
        plugin(holding(vec![("jobs/-/executions", listed), ("jobs/a/executions/a-run", whole)]));
    let all = plugin.status(vec![started(""); 30]).unwrap();
    assert_eq!((all[29].phase, all[29].reason.as_str()), (Phase::Cancelled, "CANCELLED"));
}

#[test]
fn who_may_not_list_may_still_get() {
    let inner = holding(vec![("jobs/a/executions/a-run", json!({"name": "a-run", "runningCount": 1}))]);
    let (plugin, _) = plugin(move |request| {
        if request.url.contains("/jobs/-/") { error(403, "PERMISSION_DENIED") } else { inner(request) }
    });
    assert_eq!(plugin.status(vec![started(""); 30]).unwrap()[0].phase, Phase::Running);
}

#[test]
fn an_error_of_the_provider_is_not_taken_for_absence() {
    let (plugin, _) = plugin(|_| error(503, "UNAVAILABLE"));
    assert_eq!(plugin.status(vec![started("")]).unwrap_err().code, ErrorCode::Unavailable);
}

#[test]
fn start_runs_a_job_once() {
    let ran = RefCell::new(false);
    let (plugin, host) = plugin(move |request| {
        if request.url.ends_with(":run") {
            ran.replace(true);
            let metadata = json!({"name": format!("{PARENT}/jobs/a/executions/a-k2x")});
            return response(200, json!({"name": "o", "metadata": metadata}));
        }
        let latest = ran.borrow().then(|| json!({"name": "a-k2x"}));
        response(200, json!({"name": "a", "latestCreatedExecution": latest}))
    });
    let idle = Handle { started: false, ..started("") };
    let handle = plugin.start(idle.clone()).unwrap();
    assert_eq!((handle.started, handle.state.as_str()), (true, r#"{"o":"o","r":true,"x":"a-k2x"}"#));
    assert_eq!(plugin.start(handle.clone()).unwrap(), handle);
    let again = plugin.start(idle).unwrap();
    assert_eq!((again.started, again.state.as_str()), (true, r#"{"x":"a-k2x"}"#));
    assert_eq!(host.requests().iter().filter(|request| request.url.ends_with(":run")).count(), 1);
}

#[test]
fn a_job_that_is_still_being_created_is_started_later() {
    let (plugin, _) = plugin(|_| response(200, json!({"name": "a", "reconciling": true})));
    let refused = plugin.start(Handle { started: false, ..started("") }).unwrap_err();
    assert_eq!((refused.code, refused.retry_after_ms), (ErrorCode::NotReady, Some(200)));
}

#[test]
fn stop_cancels_the_execution() {
    let (plugin, host) = plugin(|_| response(200, json!({"name": "op"})));
    plugin.stop(started(r#"{"x":"a-run"}"#), 3).unwrap();
    assert!(host.requests()[0].url.ends_with("/jobs/a/executions/a-run:cancel"));
    assert_eq!(host.requests().len(), 1);
}

#[test]
fn stopping_what_ended_or_is_gone_is_no_error() {
    let (plugin, _) = plugin(holding(vec![]));
    plugin.stop(started(""), 0).unwrap();
    let ended = json!({"name": "a-run", "completionTime": "2026-01-01T00:00:00Z"});
    let inner = holding(vec![("jobs/a/executions/a-run", ended)]);
    let (plugin, _) = crate::testing::plugin(move |request| {
        if request.url.ends_with(":cancel") { error(400, "FAILED_PRECONDITION") } else { inner(request) }
    });
    plugin.stop(started(""), 0).unwrap();
}

#[test]
fn what_has_not_begun_is_stopped_later() {
    let (plugin, _) = plugin(holding(vec![("operations/1", json!({"name": "o"}))]));
    let refused = plugin.stop(started(&format!(r#"{{"o":"{PARENT}/operations/1"}}"#)), 0).unwrap_err();
    assert_eq!((refused.code, refused.retry_after_ms), (ErrorCode::NotReady, Some(200)));
}

#[test]
fn deleting_what_is_gone_is_no_error() {
    let (plugin, _) = plugin(holding(vec![]));
    plugin.delete(started("")).unwrap();
}

#[test]
fn a_job_that_runs_is_cancelled_before_it_is_deleted() {
    let inner = holding(vec![("jobs/a/executions/a-run", json!({"name": "a-run", "runningCount": 1}))]);
    let (plugin, host) = plugin(move |request| match request.method {
        Method::Delete => error(400, "FAILED_PRECONDITION"),
        Method::Post => response(200, "{}"),
        _ => inner(request),
    });
    let refused = plugin.delete(started("")).unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotReady);
    assert!(host.requests().last().unwrap().url.ends_with(":cancel"));
}

#[test]
fn a_listing_holds_the_owners_jobs_with_their_exact_labels() {
    let spec = Spec { labels: vec![("Key".into(), "ü".into())], ..spec() };
    let job = |name: &str, owner: &str| {
        json!({"name": format!("{PARENT}/jobs/{name}"),
            "labels": names::labels(&Spec { owner: owner.into(), ..spec.clone() }),
            "annotations": names::annotations(&spec),
            "terminalCondition": {"state": "CONDITION_SUCCEEDED"},
            "latestCreatedExecution": {"name": "x", "completionStatus": "EXECUTION_RUNNING"}})
    };
    let body =
        json!({"jobs": [job("mine", "d0"), job("theirs", "d1"), {"name": "other"}], "nextPageToken": "n"});
    let (plugin, host) = plugin(move |_| response(200, &body));
    let page = plugin.list("d0".into(), Some("c".into())).unwrap();
    assert_eq!(page.items.len(), 1);
    let (status, labels) = &page.items[0];
    assert_eq!((status.handle.name.as_str(), status.phase), ("mine", Phase::Running));
    assert_eq!(labels, &spec.labels);
    assert_eq!(page.next.as_deref(), Some("n"));
    assert!(host.requests()[0].url.ends_with("pageSize=100&pageToken=c"));
}

#[test]
fn a_listed_job_that_says_nothing_is_asked_for() {
    let bare = json!({"name": format!("{PARENT}/jobs/a"), "labels": names::labels(&spec())});
    let mut whole = bare.clone();
    whole["latestCreatedExecution"] = json!({"name": "a-run", "completionStatus": "EXECUTION_CANCELLED"});
    let (plugin, _) = plugin(holding(vec![("jobs", json!({"jobs": [bare]})), ("jobs/a", whole)]));
    assert_eq!(plugin.list("d0".into(), None).unwrap().items[0].0.phase, Phase::Cancelled);
}

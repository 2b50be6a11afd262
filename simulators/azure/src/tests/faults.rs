//! What goes wrong on demand.

use super::*;

async fn want(cloud: &Cloud, fault: Value) {
    let answer = cloud.raw("POST", "/simulator/v1/faults", &[], fault.to_string()).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
}

fn job(cloud: &Cloud) -> String {
    format!("{}/Microsoft.App/jobs/one", cloud.group())
}

#[tokio::test]
async fn a_call_fails_in_azures_form_as_often_as_was_asked_for() {
    let cloud = Cloud::start().await;
    let throttled = json!({"method": "GET", "path": job(&cloud), "code": "TooManyRequests", "message": "Slow down.",
        "status": 429, "retry_after": 3, "times": 1});
    want(&cloud, throttled).await;
    let answer = cloud.call("GET", &job(&cloud), Value::Null).await;
    assert_eq!((answer.error(), answer.header("retry-after")), ((429, "TooManyRequests".to_owned()), "3"));
    assert_eq!(cloud.call("GET", &job(&cloud), Value::Null).await.error().1, "ResourceNotFound");
    let files = json!({"method": "GET", "path": "/files/", "code": "ServerBusy", "message": "m", "status": 503, "times": 1});
    want(&cloud, files).await;
    let busy = cloud.raw("GET", "/files/simstorage/data", &[], "").await;
    assert!(busy.status == 503 && busy.text().contains("<Code>ServerBusy</Code>"), "{}", busy.text());
    let bad = json!({"method": "GET", "path": "/", "code": "X", "message": "m", "times": 1});
    assert_eq!(cloud.raw("POST", "/simulator/v1/faults", &[], bad.to_string()).await.status, 400);
}

#[tokio::test]
async fn an_answer_gets_lost_and_the_call_has_happened() {
    let cloud = Cloud::start().await;
    let lost = json!({"method": "PUT", "path": job(&cloud), "code": "GatewayTimeout", "message": "m", "status": 504,
        "lost": true, "times": 1});
    want(&cloud, lost).await;
    assert_eq!(cloud.call("PUT", &job(&cloud), cloud.job(&["true"])).await.status, 504);
    assert_eq!(cloud.get(&job(&cloud)).await["name"], "one");
}

#[tokio::test]
async fn an_operation_that_was_accepted_fails_and_the_resource_says_so() {
    let cloud = Cloud::start().await;
    let doom = |method: &str| {
        json!({"method": method, "path": job(&cloud), "code": "InternalServerError", "message": "No room.",
            "status": 500, "operation": true, "times": 1})
    };
    want(&cloud, doom("PUT")).await;
    let end = cloud.done("PUT", &job(&cloud), cloud.job(&["true"])).await;
    assert_eq!((&end["status"], &end["error"]["message"]), (&json!("Failed"), &json!("No room.")));
    let state = async || cloud.get(&job(&cloud)).await["properties"]["provisioningState"].clone();
    assert_eq!(state().await, "Failed");
    cloud.create("one", cloud.job(&["true"])).await;
    assert_eq!(state().await, "Succeeded");
    want(&cloud, doom("DELETE")).await;
    let end = cloud.done("DELETE", &job(&cloud), Value::Null).await;
    assert_eq!(end["error"]["code"], "InternalServerError", "{end}");
    assert_eq!(state().await, "Failed");
    cloud.done("DELETE", &job(&cloud), Value::Null).await;
    assert_eq!(cloud.call("GET", &job(&cloud), Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_start_that_fails_later_names_no_execution_and_its_operation_says_why() {
    let cloud = Cloud::start().await;
    cloud.create("one", cloud.job(&["true"])).await;
    let start = format!("{}/start", job(&cloud));
    want(
        &cloud,
        json!({"method": "POST", "path": start, "code": "NoRoom", "message": "No room.", "status": 409,
        "operation": true, "times": 1}),
    )
    .await;
    let end = cloud.done("POST", &start, Value::Null).await;
    assert_eq!(end["error"], json!({"code": "NoRoom", "message": "No room."}));
    let executions = cloud.get(&format!("{}/executions", job(&cloud))).await;
    assert_eq!(executions["value"], json!([]));
    cloud.done("POST", &start, Value::Null).await;
}

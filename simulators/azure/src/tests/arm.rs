//! Who calls, how often, and what for.

use http::Request;
use serde_json::Value;

use super::*;

async fn jobs(cloud: &Cloud, token: &str) -> Answer {
    let path =
        format!("{}/Microsoft.App/jobs?api-version={}", cloud.group(), schema::appcontainers().version);
    let request = Request::builder().uri(path).header("authorization", format!("Bearer {token}"));
    cloud.send(request.body(Body::empty()).unwrap()).await
}

async fn token(cloud: &Cloud, form: &[(&str, &str)]) -> Answer {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let path = format!("/{}/oauth2/v2.0/token", cloud.server.info().tenant);
    cloud.raw("POST", &path, &[("content-type", "application/x-www-form-urlencoded")], body).await
}

#[tokio::test]
async fn a_token_opens_what_it_was_issued_for() {
    let cloud = Cloud::start().await;
    let info = cloud.server.info();
    for (scope, status) in
        [("https://management.azure.com/.default", 200), ("https://storage.azure.com/.default", 401)]
    {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &info.client_id),
            ("client_secret", &info.client_secret),
            ("scope", scope),
        ];
        let issued = token(&cloud, &form).await.json();
        let answer = jobs(&cloud, issued["access_token"].as_str().unwrap()).await;
        assert_eq!(answer.status, status, "{scope}");
    }
    let wrong =
        [("grant_type", "client_credentials"), ("client_id", &info.client_id), ("client_secret", "no")];
    let answer = token(&cloud, &wrong).await;
    assert_eq!((answer.status.as_u16(), answer.json()["error"].as_str()), (401, Some("invalid_client")));
    assert!(answer.json()["error_description"].as_str().unwrap().starts_with("AADSTS7000215"));
}

#[tokio::test]
async fn a_missing_a_wrong_and_an_expired_token_are_told_apart() {
    let cloud = Cloud::with(Fake::default(), |config| config.token_life = std::time::Duration::ZERO).await;
    let path =
        "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/";
    let issued = cloud.raw("GET", path, &[("metadata", "true")], "").await.json();
    let old = jobs(&cloud, issued["access_token"].as_str().unwrap()).await;
    assert_eq!(old.error(), (401, "ExpiredAuthenticationToken".to_owned()));
    assert_eq!(jobs(&cloud, "made-up").await.error(), (401, "InvalidAuthenticationToken".to_owned()));
    let none = cloud.send(Request::builder().uri("/subscriptions/x").body(Body::empty()).unwrap()).await;
    assert_eq!(none.error(), (401, "AuthenticationFailed".to_owned()));
    assert!(none.header("www-authenticate").starts_with("Bearer authorization_uri="));
    assert_eq!(cloud.raw("GET", path, &[], "").await.status, 400, "the metadata header is needed");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let cloud = Cloud::start().await;
    let group = cloud.group();
    let other_group = group.replace("sim-group", "other");
    let other_subscription = group.replace("5b000000", "00000000");
    for (method, path, error) in [
        ("GET", format!("{other_subscription}/Microsoft.App/jobs"), (404, "SubscriptionNotFound")),
        ("GET", format!("{other_group}/Microsoft.App/jobs"), (404, "ResourceGroupNotFound")),
        ("GET", format!("{group}/Microsoft.App/jobs/none"), (404, "ResourceNotFound")),
        ("GET", format!("{group}/Microsoft.App/jobs/none/executions"), (404, "ResourceNotFound")),
        ("GET", format!("{group}/Microsoft.Compute/disks"), (404, "InvalidResourceNamespace")),
        ("GET", format!("{group}/Microsoft.App/unknown"), (404, "InvalidRequestUri")),
        ("POST", format!("{group}/Microsoft.App/jobs/x"), (405, "HttpMethodNotAllowed")),
        ("GET", format!("{group}/Microsoft.App/jobs?colour=red"), (400, "InvalidQueryParameter")),
    ] {
        let answer = cloud.call(method, &path, Value::Null).await;
        assert_eq!(answer.error(), (error.0, error.1.to_owned()), "{path}");
    }
    let jobs = format!("{group}/Microsoft.App/jobs");
    assert_eq!(cloud.raw("GET", &jobs, &[], "").await.error().1, "MissingApiVersionParameter");
    let old = format!("{jobs}?api-version=2020-01-01");
    assert_eq!(cloud.raw("GET", &old, &[], "").await.error().1, "NoRegisteredProviderFound");
    // Names of groups and types have no case.
    let loud = jobs.replace("sim-group", "SIM-GROUP").replace("Microsoft.App/jobs", "microsoft.app/JOBS");
    assert_eq!(cloud.get(&loud).await["value"], json!([]));
}

#[tokio::test]
async fn callers_are_throttled_by_kind_of_call() {
    let cloud = Cloud::with(Fake::default(), |config| config.quotas.reads = (2.0, 0.01)).await;
    let path = format!("{}/Microsoft.App/jobs", cloud.group());
    let first = cloud.call("GET", &path, Value::Null).await;
    assert_eq!(first.header("x-ms-ratelimit-remaining-subscription-reads"), "1");
    cloud.get(&path).await;
    let third = cloud.call("GET", &path, Value::Null).await;
    assert_eq!(third.error(), (429, "SubscriptionRequestsThrottled".to_owned()));
    assert!(third.header("retry-after").parse::<u32>().unwrap() > 0);
    let gone = cloud.call("DELETE", &format!("{path}/none"), Value::Null).await;
    assert_eq!(gone.status, 204, "deletes have a bucket of their own");
}

#[tokio::test]
async fn an_environment_knows_its_storages_and_goes_last() {
    let cloud = Cloud::start().await;
    let path = format!("{}/Microsoft.App/managedEnvironments/other", cloud.group());
    let end = cloud.done("PUT", &path, json!({"location": "West Europe", "properties": {}})).await;
    assert_eq!(end["status"], "Succeeded");
    let key = &cloud.server.info().storage_key;
    let file = json!({"accountName": "simstorage", "accountKey": key, "shareName": "data", "accessMode": "ReadWrite"});
    let storage = format!("{path}/storages/data");
    let put = cloud.ok("PUT", &storage, json!({"properties": {"azureFile": file}})).await;
    assert!(put["properties"]["azureFile"]["accountKey"].is_null(), "the key stays out of answers");
    assert_eq!(cloud.get(&format!("{path}/storages")).await["value"].as_array().unwrap().len(), 1);
    let keyless = json!({"properties": {"azureFile": {"accountName": "a", "shareName": "b"}}});
    assert_eq!(cloud.call("PUT", &storage, keyless).await.status, 400);

    let mut job = cloud.job(&["true"]);
    job["properties"]["environmentId"] = json!(path);
    cloud.create("one", job).await;
    assert_eq!(cloud.call("DELETE", &path, Value::Null).await.error().1, "ManagedEnvironmentNotEmpty");
    cloud.done("DELETE", &format!("{}/Microsoft.App/jobs/one", cloud.group()), Value::Null).await;
    cloud.done("DELETE", &path, Value::Null).await;
    assert_eq!(cloud.call("GET", &storage, Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_registrys_own_token_is_had_for_one_of_resource_manager() {
    let cloud = Cloud::start().await;
    let info = cloud.server.info();
    let issued = async |scope: &str| {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &info.client_id),
            ("client_secret", &info.client_secret),
            ("scope", scope),
        ];
        token(&cloud, &form).await.json()["access_token"].as_str().unwrap().to_owned()
    };
    let exchange = async |token: &str| {
        let form = [("grant_type", "access_token"), ("service", &info.registry), ("access_token", token)];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        cloud.raw("POST", "/oauth2/exchange", &[], body).await
    };
    let pulls = async |token: &str| {
        let request = Request::builder().uri("/v2/").header("authorization", format!("Bearer {token}"));
        cloud.send(request.body(Body::empty()).unwrap()).await.status
    };
    let storage = issued("https://storage.azure.com/.default").await;
    assert_eq!(exchange(&storage).await.status, 401);
    let arm = issued("https://management.azure.com/.default").await;
    assert_eq!(pulls(&arm).await, 401, "Resource Manager's token is none of the registry's");
    let own = exchange(&arm).await.json()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(pulls(&own).await, 200);
}

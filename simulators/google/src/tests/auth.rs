//! Tokens and the metadata server.

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Request;
use serde_json::{Value, json};

use super::{Answer, Cloud, PARENT, Refused as _};
use crate::time;

async fn form(cloud: &Cloud, fields: &[(&str, &str)]) -> Answer {
    let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = Request::post("/token").header("content-type", "application/x-www-form-urlencoded");
    cloud.send(request.body(Body::from(body)).unwrap()).await
}

async fn jobs_with(cloud: &Cloud, authorization: Option<&str>) -> Answer {
    let mut request = Request::get(format!("{PARENT}/jobs"));
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    cloud.send(request.body(Body::empty()).unwrap()).await
}

fn assertion(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(claims))
}

#[tokio::test]
async fn a_call_without_a_good_token_is_unauthenticated() {
    let cloud = Cloud::start().await;
    for authorization in [None, Some("Bearer stale"), Some("Basic eDp5"), Some("Bearer")] {
        let answer = jobs_with(&cloud, authorization).await;
        assert_eq!((answer.status.as_u16(), answer.error().1.as_str()), (401, "UNAUTHENTICATED"));
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
    }
    let storage =
        cloud.send(Request::get("/storage/v1/b?project=sim-project").body(Body::empty()).unwrap()).await;
    assert_eq!((storage.status.as_u16(), storage.error().1.as_str()), (401, "authError"));
}

#[tokio::test]
async fn tokens_come_from_refresh_tokens_assertions_and_exchanges() {
    let cloud = Cloud::start().await;
    let now = time::now().as_second();
    let good = assertion(&json!({"iss": "me@x", "iat": now, "exp": now + 3_600}));
    let jwt = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    for fields in [
        [("grant_type", "refresh_token"), ("refresh_token", "r")],
        [("grant_type", jwt), ("assertion", good.as_str())],
        [("grant_type", exchange), ("subject_token", "s")],
    ] {
        let issued = form(&cloud, &fields).await.json();
        assert_eq!(issued["token_type"], "Bearer");
        let token = issued["access_token"].as_str().unwrap();
        assert_eq!(jobs_with(&cloud, Some(&format!("Bearer {token}"))).await.status, 200);
    }
}

#[tokio::test]
async fn a_bad_grant_is_refused_as_oauth_says() {
    let cloud = Cloud::start().await;
    let old = assertion(&json!({"iss": "me@x", "exp": 5}));
    let jwt = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    for (fields, error) in [
        ([("grant_type", "password"), ("x", "y")], "unsupported_grant_type"),
        ([("grant_type", "refresh_token"), ("refresh_token", "")], "invalid_request"),
        ([("grant_type", jwt), ("assertion", old.as_str())], "invalid_grant"),
        ([("grant_type", jwt), ("assertion", "x")], "invalid_grant"),
    ] {
        let answer = form(&cloud, &fields).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (400, &json!(error)));
    }
}

#[tokio::test]
async fn an_expired_token_is_told_from_one_that_never_was() {
    let cloud = Cloud::with(Default::default(), |config| config.token_life = std::time::Duration::ZERO).await;
    let issued = form(&cloud, &[("grant_type", "refresh_token"), ("refresh_token", "r")]).await.json();
    let token = issued["access_token"].as_str().unwrap();
    for (token, reason) in [(token, "ACCESS_TOKEN_EXPIRED"), ("other", "ACCESS_TOKEN_TYPE_UNSUPPORTED")] {
        let answer = jobs_with(&cloud, Some(&format!("Bearer {token}"))).await;
        assert_eq!((answer.status.as_u16(), answer.error().1.as_str()), (401, "UNAUTHENTICATED"));
        assert_eq!(answer.json()["error"]["details"][0]["reason"], reason);
    }
}

#[tokio::test]
async fn the_metadata_server_wants_its_header_and_gives_a_token() {
    let cloud = Cloud::start().await;
    let get = |path: &str, flavor: bool| {
        let mut request = Request::get(format!("/computeMetadata/v1/{path}"));
        if flavor {
            request = request.header("Metadata-Flavor", "Google");
        }
        cloud.send(request.body(Body::empty()).unwrap())
    };
    assert_eq!(get("project/project-id", false).await.status, 403);
    let project = get("project/project-id", true).await;
    assert_eq!((project.text().as_str(), project.header("metadata-flavor")), ("sim-project", "Google"));
    let email = get("instance/service-accounts/default/email", true).await.text();
    assert!(email.ends_with("-compute@developer.gserviceaccount.com"));
    let issued = get("instance/service-accounts/default/token", true).await.json();
    let token = issued["access_token"].as_str().unwrap();
    assert_eq!(jobs_with(&cloud, Some(&format!("Bearer {token}"))).await.status, 200);
    assert_eq!(get("instance/absent", true).await.status, 404);
}

#[tokio::test]
async fn the_registry_takes_an_access_token_as_password() {
    let cloud = Cloud::start().await;
    let ping = |authorization: Option<String>| {
        let mut request = Request::get("/v2/");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        cloud.send(request.body(Body::empty()).unwrap())
    };
    let refused = ping(None).await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json()["errors"][0]["code"], "UNAUTHORIZED");
    let base = &cloud.server.info().google;
    assert!(refused.header("www-authenticate").starts_with(&format!("Bearer realm=\"{base}/v2/token\"")));
    let basic = |login: &str| format!("Basic {}", STANDARD.encode(login));
    assert_eq!(ping(Some(basic("oauth2accesstoken:test-token"))).await.status, 200);
    assert_eq!(ping(Some(basic("oauth2accesstoken:other"))).await.status, 401);
    assert_eq!(ping(Some(basic("somebody:test-token"))).await.status, 401);
    let request = Request::get("/v2/token?service=x&scope=repository:a:pull");
    let request =
        request.header("authorization", basic("oauth2accesstoken:test-token")).body(Body::empty()).unwrap();
    let token = cloud.send(request).await.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(ping(Some(format!("Bearer {token}"))).await.status, 200);
}

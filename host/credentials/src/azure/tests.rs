use std::io::{Read as _, Write as _};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::*;

/// Answers requests one after the other, and gives what was asked.
fn serve(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    serve_with("200 OK", answers)
}

/// The same with another status.
fn serve_with(status: &'static str, answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        answers
            .into_iter()
            .map(|body| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let mut part = [0; 4096];
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    let read = stream.read(&mut part).unwrap();
                    request.extend_from_slice(&part[..read]);
                }
                write!(
                    stream,
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
                .unwrap();
                String::from_utf8(request).unwrap()
            })
            .collect()
    });
    (address, thread)
}

const ACCOUNT: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/acc";

fn holding(arm: &str) -> Azure {
    let azure = Azure::new(AzureConfig {
        arm_endpoint: Some(arm.to_owned()),
        source: Some(AzureSource::Cli),
        ..AzureConfig::default()
    });
    let hour = SystemTime::now() + Duration::from_secs(3600);
    azure.keep(&azure.scope("azure-arm"), &Secret::new("arm-token"), hour);
    azure
}

#[tokio::test]
async fn a_resource_as_scope_means_the_accounts_key_which_is_asked_for_once() {
    let (arm, server) = serve(vec![r#"{"keys":[{"keyName":"key1","value":"a2V5"}]}"#.to_owned()]);
    let azure = holding(&arm);
    let expected = Signer::SharedKey { account: "acc".into(), key: Secret::new("a2V5") };
    assert_eq!(azure.resolve("azure-storage", Some(ACCOUNT)).await.unwrap(), expected);
    assert_eq!(azure.resolve("azure-storage", Some(ACCOUNT)).await.unwrap(), expected);
    let asked = server.join().unwrap().remove(0);
    assert!(asked.starts_with(&format!("POST {ACCOUNT}/listKeys?api-version=")), "{asked}");
    assert!(asked.contains("authorization: Bearer arm-token"), "{asked}");
}

fn key(text: &str) -> String {
    format!(r#"{{"keys":[{{"keyName":"key1","value":"{text}"}}]}}"#)
}

#[tokio::test]
async fn a_key_that_was_refused_is_asked_for_anew() {
    let (arm, server) = serve(vec![key("b2xk"), key("bmV3")]);
    let azure = holding(&arm);
    let of = |text: &str| Signer::SharedKey { account: "acc".into(), key: Secret::new(text) };
    assert_eq!(azure.resolve("azure-storage", Some(ACCOUNT)).await.unwrap(), of("b2xk"));
    azure.forget("azure-storage", Some("/subscriptions/s/another"));
    azure.forget("azure-storage", None);
    assert_eq!(azure.resolve("azure-storage", Some(ACCOUNT)).await.unwrap(), of("b2xk"));
    azure.forget("azure-storage", Some(ACCOUNT));
    assert_eq!(azure.resolve("azure-storage", Some(ACCOUNT)).await.unwrap(), of("bmV3"));
    assert_eq!(server.join().unwrap().len(), 2);
    // Of a token that is refused Entra would give the same again.
    azure.forget("azure-arm", None);
    assert!(azure.known(&azure.scope("azure-arm")).is_some());
}

#[tokio::test]
async fn a_registry_in_trouble_is_unavailable_and_no_lack_of_a_role() {
    for (status, kind) in [
        ("429 Too Many Requests", CredentialErrorKind::Unavailable),
        ("503 Service Unavailable", CredentialErrorKind::Unavailable),
        ("401 Unauthorized", CredentialErrorKind::Rejected),
    ] {
        let (registry, server) = serve_with(status, vec!["{\"errors\":[]}".to_owned()]);
        let azure = holding("http://127.0.0.1:1");
        let host = registry.strip_prefix("http://").unwrap();
        let error = azure.registry_login("azure-arm", host).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert_eq!(error.remedy.contains("AcrPush"), kind == CredentialErrorKind::Rejected, "{error}");
        server.join().unwrap();
    }
}

#[test]
fn entra_in_trouble_is_unavailable_and_what_it_refuses_is_rejected() {
    let kind = |status: u16| CredentialErrorKind::of_status(status);
    assert_eq!([400, 401, 403].map(kind), [CredentialErrorKind::Rejected; 3]);
    assert_eq!([429, 500, 503].map(kind), [CredentialErrorKind::Unavailable; 3]);
    let error = |status: u16| {
        let status = azure_core::http::StatusCode::from(status);
        let kind = ErrorKind::HttpResponse { status, error_code: None, raw_response: None };
        // As the official crate wraps it.
        azure_core::Error::with_error(ErrorKind::Credential, azure_core::Error::new(kind, "no"), "failed")
    };
    let of = |status| refusal("azure-arm", AzureSource::ClientSecret, &error(status)).kind;
    assert_eq!((of(429), of(503)), (CredentialErrorKind::Unavailable, CredentialErrorKind::Unavailable));
    assert_eq!(of(401), CredentialErrorKind::Rejected);
}

#[tokio::test]
async fn no_other_resource_is_asked_for_keys() {
    let azure = holding("http://127.0.0.1:1");
    for scope in ["/subscriptions/s/providers/Microsoft.KeyVault/vaults/v", "/subscriptions/../x?y"] {
        let error = azure.resolve("azure-storage", Some(scope)).await.unwrap_err();
        assert_eq!(error.kind, CredentialErrorKind::Rejected, "{scope}");
    }
}

#[tokio::test]
async fn a_token_is_kept_for_its_scope_until_shortly_before_its_end() {
    let azure = holding("http://127.0.0.1:1");
    let bearer = |text: &str| Signer::Bearer(Secret::new(text));
    assert_eq!(azure.resolve("azure-arm", None).await.unwrap(), bearer("arm-token"));
    azure.keep("other", &Secret::new("old"), SystemTime::now());
    assert_eq!(azure.known("other"), None);
}

#[test]
fn whom_a_token_stands_for_is_read_from_its_claims() {
    let token = |claims: &str| format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims));
    assert_eq!(principal(&token(r#"{"upn":"a@b.c","oid":"1"}"#)).as_deref(), Some("a@b.c"));
    assert_eq!(principal(&token(r#"{"appid":"app"}"#)).as_deref(), Some("app"));
    assert_eq!(principal("opaque"), None);
}

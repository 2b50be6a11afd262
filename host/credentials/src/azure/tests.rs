use std::io::{Read as _, Write as _};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::*;

/// Answers requests one after the other, and gives what was asked.
fn serve(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
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
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
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

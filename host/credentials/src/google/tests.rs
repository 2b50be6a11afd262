use std::io::Write as _;

use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

fn user_file(token_uri: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    let json = serde_json::json!({
        "type": "authorized_user", "client_id": "id", "client_secret": "secret",
        "refresh_token": "refresh", "account": "me@example.com", "token_uri": token_uri,
    });
    file.write_all(json.to_string().as_bytes()).unwrap();
    file
}

/// A token endpoint on loopback that gives each connection the next of the answers.
async fn token_endpoint(answers: Vec<(&'static str, &'static str)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 8192];
            let _ = stream.read(&mut request).await.unwrap();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    format!("http://{address}/token")
}

const GOOD: (&str, &str) =
    ("200 OK", r#"{"access_token":"ya29.test","expires_in":3600,"token_type":"Bearer"}"#);
const EXPIRED: (&str, &str) = (
    "400 Bad Request",
    r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#,
);

#[tokio::test]
async fn a_user_file_gives_a_bearer_token_and_names_its_account() {
    let file = user_file(&token_endpoint(vec![GOOD]).await);
    let google = Google::file(file.path());
    let signer = google.resolve("google", None).await.unwrap();
    assert_eq!(signer, Signer::Bearer(Secret::new("ya29.test")));
    // The endpoint answers once: the second use is from the cache.
    let description = google.describe("google").await.unwrap();
    assert_eq!(description.principal.as_deref(), Some("me@example.com"));
    let login = google.registry_login("google", "x-docker.pkg.dev").await.unwrap();
    assert_eq!((login.username.as_str(), login.password.expose()), (REGISTRY_USER, "ya29.test"));
}

#[tokio::test]
async fn an_expired_login_is_rejected_with_the_providers_words_and_the_remedy() {
    let file = user_file(&token_endpoint(vec![EXPIRED, GOOD]).await);
    let google = Google::file(file.path());
    let error = google.resolve("google", None).await.unwrap_err();
    assert_eq!(error.kind, CredentialErrorKind::Rejected);
    let text = error.to_string();
    assert!(text.contains("malformed): {\"error\":\"invalid_grant\""), "{text}");
    assert!(text.contains("Token has been expired or revoked.\"}. Run "), "{text}");
    assert!(text.contains("gcloud auth application-default login"), "{text}");
    // A failed credential is looked for anew, as after a login.
    google.resolve("google", None).await.unwrap();
}

#[tokio::test]
async fn a_missing_file_is_missing_and_a_malformed_one_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let missing = Google::file(&path).resolve("google", None).await.unwrap_err();
    assert_eq!(missing.kind, CredentialErrorKind::Missing);
    assert!(missing.to_string().contains("key.json"), "{missing}");

    std::fs::write(&path, r#"{"type":"magic"}"#).unwrap();
    let malformed = Google::file(&path).resolve("google", None).await.unwrap_err();
    assert_eq!(malformed.kind, CredentialErrorKind::Rejected);
    assert!(malformed.to_string().contains("\"magic\""), "{malformed}");
}

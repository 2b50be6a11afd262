//! An OCI registry on loopback: what is asked of it is noted, and it can want a login.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{digest, manifest};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Door {
    #[default]
    Open,
    /// `user` with `secret`, for reading and writing.
    Basic,
    /// The same, by token.
    Token,
    /// Nobody is let in.
    Shut,
}

#[derive(Debug, Default)]
pub struct Shelf {
    pub door: Door,
    /// By repository and digest.
    pub blobs: HashMap<(String, String), Bytes>,
    /// By repository and tag or digest.
    pub manifests: HashMap<(String, String), (String, Bytes)>,
    /// `METHOD path?query`.
    pub asked: Vec<String>,
    /// So many uploads fail with 500 first.
    pub fail_uploads: usize,
    uploads: usize,
}

#[derive(Debug, Clone)]
pub struct Hub {
    pub host: String,
    pub shelf: Arc<Mutex<Shelf>>,
}

impl Hub {
    pub async fn open(door: Door) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let hub = Self { host, shelf: Arc::new(Mutex::new(Shelf { door, ..Shelf::default() })) };
        let router = Router::new().fallback(serve).with_state(hub.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        hub
    }

    pub fn put_blob(&self, repository: &str, bytes: impl Into<Bytes>) -> Value {
        let bytes = bytes.into();
        let digest = digest::of(&bytes);
        let size = bytes.len();
        self.shelf.lock().unwrap().blobs.insert((repository.into(), digest.clone()), bytes);
        json!({"mediaType": manifest::OCI_LAYER, "digest": digest, "size": size})
    }

    pub fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, document: &Value) -> String {
        let bytes = Bytes::from(document.to_string());
        let digest = digest::of(&bytes);
        let mut shelf = self.shelf.lock().unwrap();
        for target in [tag, &digest] {
            let value = (media_type.to_owned(), bytes.clone());
            shelf.manifests.insert((repository.into(), target.into()), value);
        }
        digest
    }

    /// An image of two layers; `flavour` makes it differ. Gives its manifest's digest.
    pub fn put_image(&self, repository: &str, tag: &str, architecture: &str, flavour: &str) -> String {
        let layers = [format!("base layer of {flavour}"), format!("top layer of {flavour}")];
        let diff_ids: Vec<String> = layers.iter().map(|layer| digest::of(layer.as_bytes())).collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "created": "2024-01-02T03:04:05Z",
            "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"], "Volumes": null, "Labels": null},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created_by": "a"}, {"created_by": "b", "empty_layer": true}, {"created_by": "c"}],
        });
        let mut config = self.put_blob(repository, config.to_string());
        config["mediaType"] = "application/vnd.docker.container.image.v1+json".into();
        let layers: Vec<Value> = layers.into_iter().map(|layer| self.put_blob(repository, layer)).collect();
        let document = json!({
            "schemaVersion": 2, "mediaType": manifest::DOCKER_MANIFEST, "config": config, "layers": layers,
        });
        self.put_manifest(repository, tag, manifest::DOCKER_MANIFEST, &document)
    }

    pub fn put_list(&self, repository: &str, tag: &str, architectures: &[&str]) -> String {
        let manifests: Vec<Value> = architectures
            .iter()
            .map(|architecture| {
                let digest = self.put_image(repository, architecture, architecture, architecture);
                json!({"mediaType": manifest::DOCKER_MANIFEST, "digest": digest, "size": 1,
                    "platform": {"os": "linux", "architecture": architecture}})
            })
            .collect();
        let document =
            json!({"schemaVersion": 2, "mediaType": manifest::DOCKER_LIST, "manifests": manifests});
        self.put_manifest(repository, tag, manifest::DOCKER_LIST, &document)
    }

    /// What was asked with this method since the last call for it.
    pub fn asked(&self, method: &str) -> Vec<String> {
        let mut shelf = self.shelf.lock().unwrap();
        let (of, other) =
            std::mem::take(&mut shelf.asked).into_iter().partition(|line| line.starts_with(method));
        shelf.asked = other;
        of
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.host)
    }
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    (status, json!({"errors": [{"code": code, "message": message}]}).to_string()).into_response()
}

async fn serve(State(hub): State<Hub>, method: Method, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    let body = axum::body::to_bytes(body, 1 << 30).await;
    let mut shelf = hub.shelf.lock().unwrap();
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    shelf.asked.push(format!("{method} {uri}"));
    let authorization = headers.get(header::AUTHORIZATION).map(|v| v.to_str().unwrap()).unwrap_or_default();
    let basic = format!("Basic {}", BASE64_STANDARD.encode("user:secret"));
    if path == "/token" {
        let known =
            authorization == basic || String::from_utf8_lossy(&body.unwrap()).contains("refresh_token=again");
        return match known {
            true if query.contains("offline_token=true") => {
                json!({"token": "let me in", "refresh_token": "again"}).to_string().into_response()
            }
            true => json!({"token": "let me in", "expires_in": 300}).to_string().into_response(),
            false if authorization.is_empty() => {
                json!({"access_token": "nobody"}).to_string().into_response()
            }
            false => {
                (StatusCode::UNAUTHORIZED, json!({"details": "incorrect username or password"}).to_string())
                    .into_response()
            }
        };
    }
    let challenge = match shelf.door {
        Door::Open => None,
        Door::Shut => return (StatusCode::INTERNAL_SERVER_ERROR, "shut").into_response(),
        Door::Basic => (authorization != basic).then(|| "Basic realm=\"hub\"".to_owned()),
        Door::Token if authorization == "Bearer let me in" => None,
        Door::Token if authorization == "Bearer nobody" => {
            return refusal(StatusCode::UNAUTHORIZED, "DENIED", "requested access to the resource is denied");
        }
        Door::Token => Some(format!("Bearer realm=\"http://{}/token\",service=\"hub\"", hub.host)),
    };
    if let Some(challenge) = challenge {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
    }
    let Ok(body) = body else { return StatusCode::BAD_REQUEST.into_response() };
    if path == "/v2/" {
        return "{}".into_response();
    }
    let path = path.strip_prefix("/v2/").unwrap_or_default();
    if let Some((repository, target)) = path.split_once("/manifests/") {
        let key = (repository.to_owned(), target.to_owned());
        if method == Method::PUT {
            let media_type = headers[header::CONTENT_TYPE].to_str().unwrap().to_owned();
            let digest = digest::of(&body);
            shelf.manifests.insert((key.0.clone(), digest), (media_type.clone(), body.clone()));
            shelf.manifests.insert(key, (media_type, body));
            return StatusCode::CREATED.into_response();
        }
        return match shelf.manifests.get(&key) {
            Some((media_type, bytes)) => {
                ([(header::CONTENT_TYPE, media_type.clone())], bytes.clone()).into_response()
            }
            None if shelf.manifests.keys().any(|(r, _)| r == repository) => {
                refusal(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown")
            }
            None => refusal(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "repository name not known to registry"),
        };
    }
    if let Some((repository, upload)) = path.split_once("/blobs/uploads/") {
        let value = |name: &str| {
            query.split('&').find_map(|p| p.strip_prefix(&format!("{name}="))).map(str::to_owned)
        };
        if method == Method::POST {
            if let (Some(digest), Some(from)) = (value("mount"), value("from"))
                && let Some(bytes) = shelf.blobs.get(&(from, digest.clone())).cloned()
            {
                shelf.blobs.insert((repository.into(), digest), bytes);
                return StatusCode::CREATED.into_response();
            }
            shelf.uploads += 1;
            let place = format!("/v2/{repository}/blobs/uploads/{}?state=x", shelf.uploads);
            return (StatusCode::ACCEPTED, [(header::LOCATION, place)]).into_response();
        }
        assert!(!upload.is_empty() && value("state").is_some());
        if shelf.fail_uploads > 0 {
            shelf.fail_uploads -= 1;
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let digest = value("digest").unwrap().replace("%3A", ":");
        if digest::of(&body) != digest {
            return refusal(StatusCode::BAD_REQUEST, "DIGEST_INVALID", "provided digest did not match");
        }
        shelf.blobs.insert((repository.into(), digest), body);
        return StatusCode::CREATED.into_response();
    }
    if let Some((repository, digest)) = path.split_once("/blobs/") {
        return match shelf.blobs.get(&(repository.to_owned(), digest.to_owned())) {
            Some(bytes) => bytes.clone().into_response(),
            None => refusal(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry"),
        };
    }
    StatusCode::NOT_FOUND.into_response()
}

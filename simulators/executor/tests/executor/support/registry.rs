//! A registry with just what a pull needs. Repositories below `private/` want a token.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Image;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// base64 of `user:secret`.
const LOGIN: &str = "Basic dXNlcjpzZWNyZXQ=";

#[derive(Clone)]
pub struct Registry {
    address: SocketAddr,
    content: Arc<Mutex<Content>>,
    server: Arc<tokio::task::JoinHandle<()>>,
}

#[derive(Default)]
struct Content {
    /// By path below /v2/: type and bytes.
    served: HashMap<String, (&'static str, Vec<u8>)>,
    /// Every GET of a path below /v2/.
    gets: Vec<String>,
}

impl Drop for Registry {
    fn drop(&mut self) {
        if Arc::strong_count(&self.server) == 1 {
            self.server.abort();
        }
    }
}

impl Registry {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let content = Arc::new(Mutex::new(Content::default()));
        let app = Router::new().fallback(serve).with_state((address, Arc::clone(&content)));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, content, server: Arc::new(server) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stores an image as `name:latest`; answers its digest.
    pub fn push(&self, name: &str, image: &Image) -> String {
        self.push_for(name, image, "amd64")
    }

    pub fn push_for(&self, name: &str, image: &Image, architecture: &str) -> String {
        let diff_ids: Vec<String> = image.layers.iter().map(|layer| digest(layer)).collect();
        let config = json!({"os": "linux", "architecture": architecture, "config": image.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = serde_json::to_vec(&config).unwrap();
        let layers: Vec<Value> = image
            .layers
            .iter()
            .map(|layer| {
                let media = "application/vnd.oci.image.layer.v1.tar+gzip";
                json!({"mediaType": media, "digest": self.blob(name, layer), "size": layer.len()})
            })
            .collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": layers, "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": self.blob(name, &config), "size": config.len()}});
        self.manifest(name, "latest", MANIFEST, &manifest)
    }

    /// An index over manifests of the repository, as `name:tag`.
    pub fn push_index(&self, name: &str, tag: &str, manifests: &[(&str, &str)]) -> String {
        let manifests: Vec<Value> = manifests
            .iter()
            .map(|(digest, architecture)| {
                json!({"mediaType": MANIFEST, "digest": digest, "size": 1,
                    "platform": {"os": "linux", "architecture": architecture}})
            })
            .collect();
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        self.manifest(name, tag, INDEX, &index)
    }

    /// Replaces a stored thing by something else under the same name.
    pub fn corrupt(&self, path: &str, bytes: Vec<u8>) {
        self.content.lock().unwrap().served.get_mut(path).unwrap().1 = bytes;
    }

    pub fn gets(&self, part: &str) -> usize {
        self.content.lock().unwrap().gets.iter().filter(|path| path.contains(part)).count()
    }

    fn blob(&self, name: &str, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        self.put(format!("{name}/blobs/{digest}"), "application/octet-stream", bytes.to_vec());
        digest
    }

    fn manifest(&self, name: &str, tag: &str, media: &'static str, manifest: &Value) -> String {
        let bytes = serde_json::to_vec(manifest).unwrap();
        let digest = digest(&bytes);
        self.put(format!("{name}/manifests/{digest}"), media, bytes.clone());
        self.put(format!("{name}/manifests/{tag}"), media, bytes);
        digest
    }

    fn put(&self, path: String, media: &'static str, bytes: Vec<u8>) {
        self.content.lock().unwrap().served.insert(path, (media, bytes));
    }
}

pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

async fn serve(
    State((address, content)): State<(SocketAddr, Arc<Mutex<Content>>)>,
    request: Request<Body>,
) -> Response {
    let headers = request.headers();
    let path = request.uri().path();
    if path == "/token" {
        return token(headers, request.uri().query().unwrap_or_default());
    }
    let path = path.trim_start_matches("/v2/");
    if path.starts_with("private/") && !has(headers, "Bearer a-token") {
        let challenge = format!(
            "Bearer realm=\"http://{address}/token\",service=\"test\",scope=\"repository:private/busybox:pull\""
        );
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], errors("UNAUTHORIZED"))
            .into_response();
    }
    let mut content = content.lock().unwrap();
    if request.method() == Method::GET {
        content.gets.push(path.to_owned());
    }
    match content.served.get(path) {
        Some((media, bytes)) => {
            let headers = [("content-type", (*media).to_owned()), ("docker-content-digest", digest(bytes))];
            (headers, bytes.clone()).into_response()
        }
        None => (StatusCode::NOT_FOUND, errors("MANIFEST_UNKNOWN")).into_response(),
    }
}

fn token(headers: &HeaderMap, query: &str) -> Response {
    if has(headers, LOGIN) && query.contains("scope=repository%3Aprivate%2Fbusybox%3Apull") {
        return axum::Json(json!({"token": "a-token", "expires_in": 300})).into_response();
    }
    (StatusCode::UNAUTHORIZED, errors("UNAUTHORIZED")).into_response()
}

fn has(headers: &HeaderMap, login: &str) -> bool {
    headers.get(header::AUTHORIZATION).is_some_and(|value| value == login)
}

fn errors(code: &str) -> String {
    json!({"errors": [{"code": code, "message": "said by the registry"}]}).to_string()
}

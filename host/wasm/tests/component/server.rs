//! A cloud on loopback that remembers what it was sent.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse as _, Response},
    routing::any,
};
use bytes::Bytes;
use tokio::net::TcpListener;

#[derive(Debug, Clone)]
pub struct Seen {
    pub line: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Clone, Default)]
pub struct Server {
    pub address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Serves until the test's runtime ends.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { address, seen: Arc::default() };
        let router = Router::new().fallback(any(answer)).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The only request that arrived.
    pub fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }
}

async fn answer(
    State(server): State<Server>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let old = headers.get("authorization").is_some_and(|value| value == "Bearer old");
    server.seen.lock().unwrap().push(Seen { line: format!("{method} {uri}"), headers, body });
    match uri.path() {
        "/renewed" if old => (StatusCode::FORBIDDEN, "not with the old one").into_response(),
        "/closed" => (StatusCode::FORBIDDEN, "for nobody").into_response(),
        "/large" => vec![b'x'; 200_000].into_response(),
        "/endless" => {
            let chunk = Bytes::from(vec![b'x'; 10_000]);
            let chunks = futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
            Body::from_stream(chunks).into_response()
        }
        "/silent" => std::future::pending().await,
        "/redirect" => {
            let target = uri.query().unwrap_or_default().to_owned();
            (StatusCode::FOUND, [("location", target)], "moved").into_response()
        }
        path => format!("hello from {path}").into_response(),
    }
}

//! A client of the OCI distribution API, for pulling manifests and for pushing images.
//!
//! Written over reqwest, since copying needs streamed uploads, mounts and every status as it came.

mod auth;
mod fault;
mod login;
mod place;

use std::sync::Once;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use sockerless_ports::registry::Login;

pub use fault::Fault;
pub use place::{Place, Places};

use crate::{digest, manifest, tuning};
use auth::{Challenge, Key, Passes};

/// What goes on at registries, with all tokens that they gave.
#[derive(Debug)]
pub struct Client {
    far: reqwest::Client,
    /// For loopback, where no proxy of the environment leads.
    near: reqwest::Client,
    passes: Passes,
}

/// A manifest as it came.
#[derive(Debug, Clone)]
pub struct Raw {
    /// `sha256:…`, verified.
    pub digest: String,
    /// As the registry names it.
    pub media_type: String,
    /// Unchanged.
    pub bytes: Bytes,
}

impl Client {
    /// A client with a pool of connections.
    pub fn new() -> Result<Self, reqwest::Error> {
        static PROVIDER: Once = Once::new();
        // The daemon may have installed it before: then that one stays.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let builder = || {
            reqwest::Client::builder()
                .connect_timeout(tuning::CONNECT)
                .read_timeout(tuning::SILENCE)
                .tcp_nodelay(true)
                .user_agent(concat!("sockerless/", env!("CARGO_PKG_VERSION")))
        };
        let (far, near) = (builder().build()?, builder().no_proxy().build()?);
        Ok(Self { far, near, passes: Passes::default() })
    }

    fn http(&self, url: &str) -> &reqwest::Client {
        let near = reqwest::Url::parse(url).is_ok_and(|url| url.host_str().is_some_and(place::is_loopback));
        if near { &self.near } else { &self.far }
    }

    /// A manifest or a list by tag or digest, with its digest verified.
    pub async fn manifest(&self, place: &Place, target: &str) -> Result<Raw, Fault> {
        let url = place.url(&format!("manifests/{target}"));
        let response = self.send(place, Method::GET, &url, &accept).await?;
        let media_type = text(&response, header::CONTENT_TYPE);
        let stated = text(&response, "docker-content-digest");
        let bytes = read_at_most(response, tuning::MAX_MANIFEST, &Method::GET, &url).await?;
        let digest = digest::of(&bytes);
        let expected = if target.contains(':') { target } else { &stated };
        if digest::digits(expected).is_some() && *expected != digest {
            return Err(Fault::Nonsense(format!("manifest verification failed for digest {expected}")));
        }
        Ok(Raw { digest, media_type, bytes })
    }

    /// A small blob, verified.
    pub async fn blob(&self, place: &Place, digest: &str) -> Result<Bytes, Fault> {
        let url = place.url(&format!("blobs/{digest}"));
        let response = self.send(place, Method::GET, &url, &|request| request).await?;
        let bytes = read_at_most(response, tuning::MAX_CONFIG, &Method::GET, &url).await?;
        if digest::of(&bytes) == digest { Ok(bytes) } else { Err(wrong(digest)) }
    }

    /// A blob as it comes; the stream ends in an error when it was not what the digest says.
    pub async fn blob_stream(
        &self,
        place: &Place,
        digest: &str,
    ) -> Result<impl Stream<Item = Result<Bytes, Fault>> + Send + 'static, Fault> {
        let url = place.url(&format!("blobs/{digest}"));
        let response = self.send(place, Method::GET, &url, &|request| request).await?;
        let bytes = response.bytes_stream().map_err(move |e| Fault::line(&Method::GET, &url, &e));
        let expected = digest.to_owned();
        let state = (Box::pin(bytes), Some(digest::Sum::default()), expected);
        Ok(stream::unfold(state, async |(mut bytes, sum, expected)| {
            let mut sum = sum?;
            match bytes.next().await {
                Some(Ok(part)) => {
                    sum.update(&part);
                    Some((Ok(part), (bytes, Some(sum), expected)))
                }
                Some(Err(fault)) => Some((Err(fault), (bytes, None, expected))),
                None if sum.finish() == expected => None,
                None => Some((Err(wrong(&expected)), (bytes, None, expected))),
            }
        }))
    }

    /// Whether it has a manifest (`manifests/…`) or a blob (`blobs/…`).
    pub async fn has(&self, place: &Place, what: &str) -> Result<bool, Fault> {
        let url = place.url(what);
        match self.send(place, Method::HEAD, &url, &accept).await {
            Ok(_) => Ok(true),
            Err(fault) if fault.is_not_found() => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Begins an upload, or has the blob taken over from another repository of the registry. Gives
    /// where to send the blob; none when that is not necessary any more.
    pub async fn begin_upload(
        &self,
        place: &Place,
        digest: &str,
        mount_from: Option<&str>,
    ) -> Result<Option<String>, Fault> {
        let query = match mount_from {
            Some(from) => format!("?mount={digest}&from={from}"),
            None => String::new(),
        };
        let url = place.url(&format!("blobs/uploads/{query}"));
        let length_zero = |request: RequestBuilder| request.header(header::CONTENT_LENGTH, 0);
        let response = self.send(place, Method::POST, &url, &length_zero).await?;
        if response.status() == StatusCode::CREATED {
            return Ok(None);
        }
        let location = text(&response, header::LOCATION);
        let nonsense = || {
            Fault::Nonsense(format!(
                "{}: no place to upload to ({location:?})",
                fault::request(&Method::POST, &url)
            ))
        };
        let base = reqwest::Url::parse(&url).map_err(|_| nonsense())?;
        let mut target = base.join(&location).map_err(|_| nonsense())?;
        if location.is_empty() {
            return Err(nonsense());
        }
        target.query_pairs_mut().append_pair("digest", digest);
        Ok(Some(target.into()))
    }

    /// Sends a blob to where [`Self::begin_upload`] said.
    pub async fn upload<S>(&self, place: &Place, url: &str, size: u64, bytes: S) -> Result<(), Fault>
    where
        S: Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static,
    {
        let request = self
            .http(url)
            .put(url)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, size)
            .body(reqwest::Body::wrap_stream(bytes));
        // A body that streams cannot be sent twice; the POST before has settled the authentication.
        let request = if place.is_at(url) {
            self.passes.attach(&place.key(), place.login.as_ref(), request)
        } else {
            request
        };
        let response = request.send().await.map_err(|e| Fault::line(&Method::PUT, url, &e))?;
        checked(response, &Method::PUT, url).await.map(drop)
    }

    /// Writes a manifest under a tag or its digest.
    pub async fn put_manifest(
        &self,
        place: &Place,
        target: &str,
        media_type: &str,
        bytes: &Bytes,
    ) -> Result<(), Fault> {
        let url = place.url(&format!("manifests/{target}"));
        let build =
            |request: RequestBuilder| request.header(header::CONTENT_TYPE, media_type).body(bytes.clone());
        self.send(place, Method::PUT, &url, &build).await.map(drop)
    }

    async fn answer(&self, key: Key, login: Option<&Login>, challenge: &Challenge) -> Result<bool, Fault> {
        let http = match challenge {
            Challenge::Bearer { realm, .. } => self.http(realm),
            Challenge::Basic => &self.far,
        };
        self.passes.answer(http, key, login, challenge).await
    }

    /// Sends a request, answering one challenge.
    async fn send(
        &self,
        place: &Place,
        method: Method,
        url: &str,
        build: &(dyn Fn(RequestBuilder) -> RequestBuilder + Sync),
    ) -> Result<Response, Fault> {
        let login = place.login.as_ref();
        let key = place.key();
        let once = async || {
            let request = self.passes.attach(&key, login, build(self.http(url).request(method.clone(), url)));
            request.send().await.map_err(|e| Fault::line(&method, &place.shown(url, &e), &e))
        };
        let mut response = once().await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(challenge) = challenge(&response)
        {
            if !self.answer(key.clone(), login, &challenge).await? {
                return Err(Fault::Answer {
                    status: 401,
                    code: String::new(),
                    message: "no basic auth credentials".into(),
                    request: fault::request(&method, url),
                });
            }
            response = once().await?;
        }
        checked(response, &method, url).await
    }
}

/// The first challenge of an answer that this client can take up.
fn challenge(response: &Response) -> Option<Challenge> {
    let mut challenges = response.headers().get_all(header::WWW_AUTHENTICATE).iter();
    challenges.find_map(|value| Challenge::parse(value.to_str().ok()?))
}

fn accept(request: RequestBuilder) -> RequestBuilder {
    let types =
        [manifest::DOCKER_MANIFEST, manifest::DOCKER_LIST, manifest::OCI_MANIFEST, manifest::OCI_INDEX];
    request.header(header::ACCEPT, types.join(", "))
}

impl Place {
    fn key(&self) -> Key {
        Key::new(&self.base, &self.scope, self.login.as_ref())
    }
}

/// The answer, unless it is an error.
async fn checked(response: Response, method: &Method, url: &str) -> Result<Response, Fault> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = read_at_most(response, tuning::MAX_ANSWER, method, url).await?;
    let fault = Fault::answer(method, url, status, &body);
    Err(match fault {
        // A HEAD has no body that could say so.
        Fault::Answer { status: 404, code, message, request }
            if code.is_empty() && url.contains("/manifests/") =>
        {
            let message = if message.is_empty() { "manifest unknown".into() } else { message };
            Fault::Answer { status: 404, code: "MANIFEST_UNKNOWN".into(), message, request }
        }
        Fault::Answer { status: 401, code, message, request } if code.is_empty() => {
            let message = if message.is_empty() { "authentication required".into() } else { message };
            Fault::Answer { status: 401, code: "UNAUTHORIZED".into(), message, request }
        }
        fault => fault,
    })
}

/// A body, as long as it is no longer than that.
async fn read_at_most(response: Response, most: usize, method: &Method, url: &str) -> Result<Bytes, Fault> {
    let mut all = Vec::new();
    let mut parts = response.bytes_stream();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|e| Fault::line(method, url, &e))?;
        if all.len() + part.len() > most {
            return Err(Fault::Nonsense(format!(
                "{}: the answer is longer than {most} bytes",
                fault::request(method, url)
            )));
        }
        all.extend_from_slice(&part);
    }
    Ok(all.into())
}

fn wrong(digest: &str) -> Fault {
    Fault::Nonsense(format!("filesystem layer verification failed for digest {digest}"))
}

fn text(response: &Response, name: impl header::AsHeaderName) -> String {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// The media type of a manifest: its own word, else the registry's, else OCI's.
pub fn media_type(raw: &Raw, own: &str) -> String {
    if !own.is_empty() {
        own.to_owned()
    } else if raw.media_type.contains("manifest") {
        raw.media_type.clone()
    } else {
        manifest::OCI_MANIFEST.to_owned()
    }
}

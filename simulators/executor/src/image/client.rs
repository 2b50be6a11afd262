//! The distribution API, as far as pulling goes.

use std::{collections::BTreeMap, path::Path};

use futures_util::StreamExt;
use oci_spec::distribution::Reference;
use reqwest::{Response, StatusCode, Url, header};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::{
    ImageError,
    auth::{Challenge, Logins},
    document::Descriptor,
    http::Http,
};
use crate::{
    config::{RegistryAccess, RegistryAuth},
    spec::FailureReason,
    tuning::{DOCUMENT_LIMIT, REGISTRY_BACKOFF, REGISTRY_TRIES},
};

const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json, \
                      application/vnd.docker.distribution.manifest.v2+json";

/// Talks to all registries.
#[derive(Debug)]
pub(crate) struct RegistryClient {
    registries: BTreeMap<String, RegistryAccess>,
    http: Http,
    logins: Logins,
}

impl RegistryClient {
    pub(crate) fn new(registries: BTreeMap<String, RegistryAccess>) -> Result<Self, reqwest::Error> {
        Ok(Self { registries, http: Http::new()?, logins: Logins::default() })
    }

    /// The digest that a reference means now.
    pub(crate) async fn digest(&self, image: &Reference) -> Result<String, ImageError> {
        if let Some(digest) = image.digest() {
            return Ok(digest.to_owned());
        }
        let tag = image.tag().unwrap_or("latest");
        let response = self.ask(image, &format!("manifests/{tag}"), true).await?;
        if let Some(digest) =
            response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok())
        {
            return Ok(digest.to_owned());
        }
        // The header is optional.
        let response = self.ask(image, &format!("manifests/{tag}"), false).await?;
        Ok(digest_of(&read(response, image).await?))
    }

    /// A manifest or an index.
    pub(crate) async fn manifest(&self, image: &Reference, digest: &str) -> Result<Vec<u8>, ImageError> {
        self.document(image, &format!("manifests/{digest}"), digest).await
    }

    /// A small blob.
    pub(crate) async fn blob(&self, image: &Reference, digest: &str) -> Result<Vec<u8>, ImageError> {
        self.document(image, &format!("blobs/{digest}"), digest).await
    }

    async fn document(&self, image: &Reference, path: &str, digest: &str) -> Result<Vec<u8>, ImageError> {
        let bytes = read(self.ask(image, path, false).await?, image).await?;
        verify(digest, &digest_of(&bytes))?;
        Ok(bytes)
    }

    /// A blob into a file; the file is whole and right if this succeeds.
    pub(crate) async fn download(
        &self,
        image: &Reference,
        blob: &Descriptor,
        file: &Path,
    ) -> Result<(), ImageError> {
        let mut attempt = 1;
        loop {
            match self.download_once(image, blob, file).await {
                Err(error) if error.reason == FailureReason::ImageUnavailable && attempt < REGISTRY_TRIES => {
                    tokio::time::sleep(REGISTRY_BACKOFF * 2_u32.pow(attempt - 1)).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn download_once(
        &self,
        image: &Reference,
        blob: &Descriptor,
        file: &Path,
    ) -> Result<(), ImageError> {
        let response = self.ask(image, &format!("blobs/{}", blob.digest), false).await?;
        let disk = |error: std::io::Error| ImageError::internal(file.display(), error);
        let mut output = tokio::fs::File::create(file).await.map_err(disk)?;
        let mut hash = Sha256::new();
        let mut length = 0;
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| unavailable(image, error))?;
            length += chunk.len() as u64;
            if length > blob.size {
                return Err(ImageError::invalid(format!("{} is longer than the manifest says", blob.digest)));
            }
            hash.update(&chunk);
            output.write_all(&chunk).await.map_err(disk)?;
        }
        output.flush().await.map_err(disk)?;
        verify(&blob.digest, &format!("sha256:{}", hex::encode(hash.finalize())))
    }

    /// One answer of 2xx, after logins and retries.
    async fn ask(&self, image: &Reference, path: &str, head: bool) -> Result<Response, ImageError> {
        let access = self.registries.get(image.registry());
        let base = match access {
            Some(access) => access.base_url.trim_end_matches('/').to_owned(),
            // The address behind Docker Hub's name.
            None if image.registry() == "docker.io" => "https://registry-1.docker.io".to_owned(),
            None => format!("https://{}", image.registry()),
        };
        let url = format!("{base}/v2/{}/{path}", image.repository());
        let url = Url::parse(&url).map_err(|error| ImageError::invalid(format!("{url}: {error}")))?;
        let auth = access.and_then(|access| access.auth.as_ref());
        let key = format!("{}/{}", image.registry(), image.repository());

        let mut response = self.send(&url, head, &key, image).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(challenge) = challenge(&response)
            && self.logins.meet(&key, challenge, auth, &self.http).await?.is_some()
        {
            response = self.send(&url, head, &key, image).await?;
        }
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(response, image, auth).await)
    }

    async fn send(
        &self,
        url: &Url,
        head: bool,
        key: &str,
        image: &Reference,
    ) -> Result<Response, ImageError> {
        let mut attempt = 1;
        loop {
            let request = if head { self.http.head(url.clone()) } else { self.http.get(url.clone()) };
            let mut request = request.header(header::ACCEPT, ACCEPT);
            if let Some(login) = self.logins.get(key) {
                request = login.sign(request);
            }
            let result = request.send().await;
            let again = match &result {
                Ok(response) => response.status().is_server_error(),
                Err(_) => true,
            };
            if !again || attempt == REGISTRY_TRIES {
                return result.map_err(|error| unavailable(image, error));
            }
            tokio::time::sleep(REGISTRY_BACKOFF * 2_u32.pow(attempt - 1)).await;
            attempt += 1;
        }
    }
}

fn challenge(response: &Response) -> Option<Challenge> {
    let headers = response.headers().get_all(header::WWW_AUTHENTICATE);
    headers.iter().filter_map(|value| value.to_str().ok()).find_map(Challenge::parse)
}

fn unavailable(image: &Reference, error: reqwest::Error) -> ImageError {
    // The cause is what a person needs to know, and stands at the end of the chain.
    let mut cause: &dyn std::error::Error = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    ImageError::new(FailureReason::ImageUnavailable, format!("{}: {error}: {cause}", image.registry()))
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<RegistryError>,
}

#[derive(Deserialize)]
struct RegistryError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// What a registry's refusal means, in its own words where it has some.
async fn refusal(response: Response, image: &Reference, auth: Option<&RegistryAuth>) -> ImageError {
    let status = response.status();
    let body = response.bytes().await.unwrap_or_default();
    let said = serde_json::from_slice::<Errors>(&body)
        .ok()
        .and_then(|errors| errors.errors.into_iter().next())
        .map(|error| format!(": {} {}", error.code, error.message))
        .unwrap_or_default();
    let (reason, text) = match status {
        StatusCode::NOT_FOUND => (FailureReason::ImageNotFound, "not found"),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if auth.is_some() => {
            (FailureReason::ImageUnauthorized, "the login does not suffice")
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            (FailureReason::ImageUnauthorized, "it does not exist, or a login is needed")
        }
        _ => (FailureReason::ImageUnavailable, "the registry cannot serve it"),
    };
    ImageError::new(reason, format!("{image}: {text} ({status}){said}"))
}

async fn read(response: Response, image: &Reference) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.map_err(|error| unavailable(image, error))?);
        if bytes.len() as u64 > DOCUMENT_LIMIT {
            return Err(ImageError::invalid(format!(
                "{image}: a manifest or configuration of more than {DOCUMENT_LIMIT} bytes"
            )));
        }
    }
    Ok(bytes)
}

fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn verify(wanted: &str, got: &str) -> Result<(), ImageError> {
    if wanted == got {
        return Ok(());
    }
    Err(ImageError::invalid(format!("the registry sent {got} for {wanted}")))
}

//! A read-only OCI registry on loopback, for pulls: with or without a login.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::images::{ImageSpec, Layer, sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A registry that ends with its owner.
pub struct Registry {
    address: SocketAddr,
    content: Arc<Content>,
}

#[derive(Default)]
struct Content {
    /// `NAME/manifests/REFERENCE` and `NAME/blobs/DIGEST`: media type and bytes.
    things: Mutex<HashMap<String, (String, Vec<u8>)>>,
    /// The `Authorization` header that is asked for.
    authorization: Option<String>,
    closed: Mutex<bool>,
}

impl Registry {
    /// Starts one; with a login in the form `Basic …` only that is let in.
    pub fn start(authorization: Option<&str>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let content =
            Arc::new(Content { authorization: authorization.map(Into::into), ..Content::default() });
        let shared = Arc::clone(&content);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.closed.lock().is_ok_and(|closed| *closed) {
                    return;
                }
                let content = Arc::clone(&shared);
                // A client that hangs up in the middle is its own affair.
                thread::spawn(move || drop(serve(stream, &content)));
            }
        });
        Ok(Self { address, content })
    }

    /// `host:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    fn put(&self, key: String, media_type: &str, bytes: Vec<u8>) {
        if let Ok(mut things) = self.content.things.lock() {
            things.insert(key, (media_type.into(), bytes));
        }
    }

    /// Puts an image under its repository and tag (`a/b:tag`, without the host); gives its digest.
    pub fn push(&self, spec: &ImageSpec, layer: Layer) -> io::Result<String> {
        let (repository, tag) = spec.name.rsplit_once(':').unwrap_or((&spec.name, "latest"));
        let tar = layer.finish()?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&tar)?;
        let packed = encoder.finish()?;
        let config = json!({
            "architecture": spec.architecture, "os": "linux", "config": spec.config,
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&tar))]},
        })
        .to_string()
        .into_bytes();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &packed)],
        })
        .to_string()
        .into_bytes();
        for blob in [packed, config] {
            self.put(
                format!("{repository}/blobs/sha256:{}", sha256(&blob)),
                "application/octet-stream",
                blob,
            );
        }
        let digest = format!("sha256:{}", sha256(&manifest));
        for reference in [tag, &digest] {
            self.put(format!("{repository}/manifests/{reference}"), MANIFEST, manifest.clone());
        }
        Ok(digest)
    }

    /// Puts a manifest list under a tag, of platforms (`amd64`) and digests pushed before.
    pub fn push_index(&self, repository: &str, tag: &str, platforms: &[(&str, &str)]) {
        let manifests: Vec<Value> = platforms
            .iter()
            .map(|(architecture, digest)| {
                let key = format!("{repository}/manifests/{digest}");
                let size =
                    self.content.things.lock().map_or(0, |things| things.get(&key).map_or(0, |t| t.1.len()));
                json!({"mediaType": MANIFEST, "digest": digest, "size": size,
                       "platform": {"architecture": architecture, "os": "linux"}})
            })
            .collect();
        let index =
            json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).to_string().into_bytes();
        for reference in [tag.to_owned(), format!("sha256:{}", sha256(&index))] {
            self.put(format!("{repository}/manifests/{reference}"), INDEX, index.clone());
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Ok(mut closed) = self.content.closed.lock() {
            *closed = true;
        }
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(self.address));
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": format!("sha256:{}", sha256(bytes)), "size": bytes.len()})
}

/// Answers the requests of one connection.
fn serve(stream: TcpStream, content: &Content) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return writer.shutdown(Shutdown::Both);
        }
        let mut words = line.split_whitespace();
        let (method, path) =
            (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        let mut authorization = None;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            match header.trim().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                    authorization = Some(value.trim().to_owned());
                }
                Some(_) => {}
                None => break,
            }
        }
        let (status, media_type, body, more) = answer(content, &path, authorization.as_deref());
        let digest = format!("Docker-Content-Digest: sha256:{}\r\n", sha256(&body));
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n{digest}{more}\r\n",
            body.len()
        );
        writer.write_all(head.as_bytes())?;
        if method != "HEAD" {
            writer.write_all(&body)?;
        }
    }
}

fn answer(
    content: &Content,
    path: &str,
    authorization: Option<&str>,
) -> (&'static str, String, Vec<u8>, &'static str) {
    let error = |code: &str| {
        json!({"errors": [{"code": code, "message": code.to_lowercase()}]}).to_string().into_bytes()
    };
    let json = || "application/json".to_owned();
    if content.authorization.as_deref().is_some_and(|wanted| authorization != Some(wanted)) {
        let challenge = "WWW-Authenticate: Basic realm=\"test\"\r\n";
        return ("401 Unauthorized", json(), error("UNAUTHORIZED"), challenge);
    }
    let Some(key) = path.strip_prefix("/v2/") else {
        return ("404 Not Found", json(), error("NOT_FOUND"), "");
    };
    if key.is_empty() {
        return ("200 OK", json(), b"{}".to_vec(), "");
    }
    match content.things.lock().ok().and_then(|things| things.get(key).cloned()) {
        Some((media_type, bytes)) => ("200 OK", media_type, bytes, ""),
        None if key.contains("/manifests/") => ("404 Not Found", json(), error("MANIFEST_UNKNOWN"), ""),
        None => ("404 Not Found", json(), error("BLOB_UNKNOWN"), ""),
    }
}

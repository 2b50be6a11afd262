//! Names of images, as Docker reads and shows them.

use std::fmt;

use sockerless_ports::registry::ImageError;

/// The registry that a name without one means.
pub const DOCKER_HUB: &str = "docker.io";

const LIBRARY: &str = "library/";
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// A name of an image, complete: registry, repository, and a tag or a digest or both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// `docker.io`, `localhost:5000`.
    pub registry: String,
    /// `library/busybox`.
    pub repository: String,
    /// The tag, if it was written or is the default (`latest`).
    pub tag: Option<String>,
    /// `sha256:…`
    pub digest: Option<String>,
}

impl Reference {
    /// Reads what a user wrote. A name with neither tag nor digest gets the tag `latest`.
    /// Errors: `Invalid`, in Docker's words.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let invalid = || ImageError::Invalid("invalid reference format".into());
        if crate::digest::is_digits(text) {
            return Err(ImageError::Invalid(format!(
                "invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
            )));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon after the last slash begins the tag; one before it belongs to the registry's port.
        let (name, tag) = match rest.rfind(':') {
            Some(at) if !rest[at..].contains('/') => (&rest[..at], Some(&rest[at + 1..])),
            _ => (rest, None),
        };
        let (registry, path) = split_registry(name);
        if registry.is_some_and(|registry| !is_registry(registry)) {
            return Err(invalid());
        }
        if !is_path(path) {
            return Err(if is_path(&path.to_lowercase()) {
                ImageError::Invalid(format!(
                    "invalid reference format: repository name ({}) must be lowercase",
                    completed(registry, path)
                ))
            } else {
                invalid()
            });
        }
        if tag.is_some_and(|tag| !is_tag(tag)) || digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(invalid());
        }
        let registry = match registry {
            None | Some("index.docker.io") => DOCKER_HUB,
            Some(registry) => registry,
        };
        let repository = if registry == DOCKER_HUB { completed(None, path) } else { path.to_owned() };
        if repository.len() > MAX_NAME {
            return Err(ImageError::Invalid(format!(
                "invalid reference format: repository name must not be more than {MAX_NAME} characters"
            )));
        }
        let tag = match (tag, digest) {
            (None, None) => Some("latest".to_owned()),
            (tag, _) => tag.map(str::to_owned),
        };
        Ok(Self { registry: registry.to_owned(), repository, tag, digest: digest.map(str::to_owned) })
    }

    /// The name as Docker shows it: `busybox`, `localhost:5000/a/b`.
    pub fn familiar_name(&self) -> String {
        if self.registry != DOCKER_HUB {
            return format!("{}/{}", self.registry, self.repository);
        }
        match self.repository.strip_prefix(LIBRARY) {
            Some(short) if !short.contains('/') => short.to_owned(),
            _ => self.repository.clone(),
        }
    }

    /// `busybox:latest`, if there is a tag.
    pub fn familiar_tag(&self) -> Option<String> {
        self.tag.as_ref().map(|tag| format!("{}:{tag}", self.familiar_name()))
    }

    /// `busybox@sha256:…`, if there is a digest.
    pub fn familiar_digest(&self) -> Option<String> {
        self.digest.as_ref().map(|digest| format!("{}@{digest}", self.familiar_name()))
    }

    /// What a registry is asked for: the digest, else the tag.
    pub fn target(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }
}

/// As Docker shows it, with tag and digest.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.familiar_name())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// The first part is a registry if it looks like a host: with a dot, a port or an upper-case
/// letter, or `localhost`.
fn split_registry(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, path))
            if first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first =>
        {
            (Some(first), path)
        }
        _ => (None, name),
    }
}

fn completed(registry: Option<&str>, path: &str) -> String {
    match registry {
        None if !path.contains('/') => format!("{LIBRARY}{path}"),
        _ => path.to_owned(),
    }
}

/// Whether it is a registry's `host[:port]`.
pub(crate) fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            if !address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') || address.is_empty() {
                return false;
            }
            ("", (!port.is_empty()).then_some(port).map(|port| port.strip_prefix(':').unwrap_or("-")))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (text.starts_with('[') || host.split('.').all(label))
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

fn is_path(path: &str) -> bool {
    path.split('/').all(is_component)
}

/// Letters and digits, between them one dot, one or two underscores, or any number of hyphens.
fn is_component(part: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    alphanumeric(*first)
        && alphanumeric(*last)
        && part
            .split(|c: char| c.is_ascii() && alphanumeric(c as u8))
            .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

/// Only SHA-256 is in use.
fn is_digest(digest: &str) -> bool {
    crate::digest::digits(digest).is_some()
}

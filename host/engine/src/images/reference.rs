//! Image references, as far as the engine compares and words them; the registry resolves them.

use crate::{Error, ErrorKind, Result};

/// `busybox`, `localhost:5000/a/b:tag`, `name@sha256:…`, in Docker's familiar form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Without `docker.io/` and `library/`.
    pub name: String,
    pub tag: Option<String>,
    pub digest: Option<String>,
}

impl Reference {
    /// Errors: 400 in dockerd's words.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = || Error::new(ErrorKind::Invalid, "invalid reference format");
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let last_part = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[last_part..].find(':') {
            Some(colon) => (&rest[..last_part + colon], Some(&rest[last_part + colon + 1..])),
            None => (rest, None),
        };
        let (domain, path) = match name.split_once('/') {
            Some((domain, path)) if is_domain(domain) => (Some(domain), path),
            _ => (None, name),
        };
        if path.bytes().any(|byte| byte.is_ascii_uppercase()) && !path.is_empty() {
            let official = if domain.is_none() && !path.contains('/') { "library/" } else { "" };
            let message =
                format!("invalid reference format: repository name ({official}{path}) must be lowercase");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let good = path.split('/').all(is_component)
            && domain.is_none_or(|domain| !domain.is_empty())
            && tag.is_none_or(is_tag)
            && digest.is_none_or(is_digest);
        if !good || name.len() > 255 {
            return Err(invalid());
        }
        let name = match domain {
            None | Some("docker.io" | "index.docker.io") => {
                path.strip_prefix("library/").unwrap_or(path).to_owned()
            }
            Some(domain) => format!("{domain}/{path}"),
        };
        Ok(Self { name, tag: tag.map(str::to_owned), digest: digest.map(str::to_owned) })
    }

    /// With `latest` when neither tag nor digest is there.
    pub fn with_tag(&self) -> String {
        match (&self.tag, &self.digest) {
            (_, Some(digest)) => format!("{}@{digest}", self.name),
            (Some(tag), None) => format!("{}:{tag}", self.name),
            (None, None) => format!("{}:latest", self.name),
        }
    }
}

/// A reference that can only mean an image's id: `sha256:…`.
pub(crate) fn is_id(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_domain(text: &str) -> bool {
    text == "localhost" || text.contains(['.', ':']) || text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Letters and digits, with single `.`, one or two `_`, or dashes between them.
fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().is_some_and(|byte| alphanumeric(*byte))
        && bytes.last().is_some_and(|byte| alphanumeric(*byte));
    ends && bytes.iter().all(|byte| alphanumeric(*byte) || b"._-".contains(byte))
        && !["..", "___", "._", "_.", ".-", "-.", "_-", "-_"].iter().any(|pair| text.contains(pair))
}

fn is_tag(text: &str) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    (1..=128).contains(&text.len())
        && text.as_bytes().first().is_some_and(word)
        && text.bytes().all(|byte| word(&byte) || b".-".contains(&byte))
}

fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty() && hex.len() >= 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_come_in_familiar_form() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (text, familiar) in [
            ("busybox", "busybox:latest"),
            ("docker.io/library/busybox:1", "busybox:1"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
            ("grafana/loki:2.9", "grafana/loki:2.9"),
        ] {
            assert_eq!(Reference::parse(text).unwrap().with_tag(), familiar);
        }
        let pinned = format!("busybox@{digest}");
        assert_eq!(Reference::parse(&pinned).unwrap().with_tag(), pinned);
    }

    #[test]
    fn malformed_references_are_told_in_dockerds_words() {
        for bad in ["", ":", "a b", "busybox:", "busybox:ta g", "-a", "a//b", "busybox@sha256:12"] {
            assert_eq!(Reference::parse(bad).unwrap_err().message, "invalid reference format", "{bad}");
        }
        assert!(Reference::parse("Busybox").unwrap_err().message.contains("must be lowercase"));
    }
}

//! Where a job's image may come from.

use crate::error::ApiError;

/// An image that Cloud Run takes, by source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// Docker Hub: the reference as the executor pulls it.
    Hub(String),
    /// Our own registry: repository, and tag or digest.
    Own {
        /// `project/repository/image`
        repository: String,
        /// A tag, or `sha256:…`.
        reference: String,
    },
}

impl Image {
    /// Reads a reference. `registry` is our own registry's host and port.
    ///
    /// # Errors
    /// 400 in Cloud Run's words for a host that it does not pull from, or a malformed reference.
    pub fn parse(text: &str, registry: &str, field: &str) -> Result<Self, ApiError> {
        let refused = || {
            let message = format!(
                "{field}: Expected an image path like [host/]repo-path[:tag and/or @digest], where host is one of \
                 [region.]gcr.io, [region-]docker.pkg.dev or docker.io but obtained {text}. To deploy container images from \
                 other public or private registries, set up an Artifact Registry remote repository. See \
                 https://cloud.google.com/artifact-registry/docs/repositories/remote-repo."
            );
            ApiError::field(field, message)
        };
        let (host, path) = match text.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
            _ => ("docker.io", text),
        };
        let (name, reference) = split(path).ok_or_else(refused)?;
        let port = registry.rsplit_once(':').map_or("", |(_, port)| port);
        let own = host == registry
            || host.strip_prefix("localhost:").is_some_and(|other| other == port)
            || host == "docker.pkg.dev"
            || host.ends_with("-docker.pkg.dev");
        match host {
            "docker.io" | "index.docker.io" | "registry-1.docker.io" => Ok(Self::Hub(hub(&name, &reference))),
            _ if own => Ok(Self::Own { repository: name, reference }),
            _ => Err(refused()),
        }
    }

    /// The reference that the executor pulls.
    pub fn pull(&self, registry: &str) -> String {
        match self {
            Self::Hub(reference) => reference.clone(),
            Self::Own { repository, reference } => {
                let separator = if reference.contains(':') { '@' } else { ':' };
                format!("{registry}/{repository}{separator}{reference}")
            }
        }
    }
}

fn hub(name: &str, reference: &str) -> String {
    let separator = if reference.contains(':') { '@' } else { ':' };
    let library = if name.contains('/') { "" } else { "library/" };
    format!("docker.io/{library}{name}{separator}{reference}")
}

/// Name, and digest or tag; a digest wins over a tag beside it.
fn split(path: &str) -> Option<(String, String)> {
    let (rest, digest) = match path.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (path, None),
    };
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (rest, "latest"),
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let good_name =
        !name.is_empty() && name.split('/').all(|part| !part.is_empty() && part.bytes().all(plain));
    let good_tag = !tag.is_empty()
        && tag.len() <= 128
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let good_digest = digest.is_none_or(|digest| {
        digest
            .strip_prefix("sha256:")
            .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
    });
    (good_name && good_tag && good_digest).then(|| (name.to_owned(), digest.unwrap_or(tag).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulled(text: &str) -> String {
        Image::parse(text, "127.0.0.1:4000", "image").unwrap().pull("127.0.0.1:4000")
    }

    #[test]
    fn docker_hub_and_the_own_registry_are_taken() {
        assert_eq!(pulled("busybox"), "docker.io/library/busybox:latest");
        assert_eq!(pulled("docker.io/a/b:1"), "docker.io/a/b:1");
        assert_eq!(pulled("127.0.0.1:4000/p/r/i:t"), "127.0.0.1:4000/p/r/i:t");
        assert_eq!(pulled("us-docker.pkg.dev/p/r/i"), "127.0.0.1:4000/p/r/i:latest");
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(pulled(&format!("localhost:4000/p/i:t@{digest}")), format!("127.0.0.1:4000/p/i@{digest}"));
    }

    #[test]
    fn other_hosts_and_broken_references_are_refused() {
        for text in
            ["ghcr.io/a/b", "localhost:5000/a", "127.0.0.1:4001/a", "Busybox", "a@sha256:1", "", "a//b"]
        {
            let error = Image::parse(text, "127.0.0.1:4000", "image").unwrap_err();
            assert!(error.message.contains("Expected an image path like"), "{text}");
        }
    }
}

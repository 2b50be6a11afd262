//! Images of containers: any public registry, and our own with a login.

use serde_json::Value;

use crate::auth;
use crate::server::Simulator;

/// A reference, split.
struct Reference<'a> {
    host: &'a str,
    name: String,
    /// A tag, or a digest, which wins.
    reference: String,
}

fn parse(text: &str) -> Option<Reference<'_>> {
    let (host, path) = match text.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
        _ => ("docker.io", text),
    };
    let (rest, digest) = path.split_once('@').map_or((path, None), |(rest, digest)| (rest, Some(digest)));
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (rest, "latest"),
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let good = !name.is_empty() && name.split('/').all(|part| !part.is_empty() && part.bytes().all(plain));
    let good_tag = !tag.is_empty()
        && tag.len() <= 128
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let good_digest = digest.is_none_or(|digest| {
        digest
            .strip_prefix("sha256:")
            .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
    });
    (good && good_tag && good_digest).then(|| Reference {
        host,
        name: name.to_owned(),
        reference: digest.unwrap_or(tag).to_owned(),
    })
}

/// Whether a host is our own registry, as `localhost` too.
fn is_own(host: &str, registry: &str) -> bool {
    let port = registry.rsplit_once(':').map_or("", |(_, port)| port);
    host == registry || host.strip_prefix("localhost:").is_some_and(|other| other == port)
}

/// Checks a container's image, as far as this can be known without leaving the machine.
///
/// # Errors
/// What the registry is said to have answered.
pub fn check(simulator: &Simulator, container: &Value, configuration: &Value) -> Result<(), String> {
    let text = container["image"].as_str().unwrap_or_default();
    let image = parse(text).ok_or_else(|| format!("could not parse reference: {text}"))?;
    let registry = &simulator.info.registry;
    if !is_own(image.host, registry) {
        return Ok(());
    }
    let failed = |error: rusqlite::Error| format!("the simulator's database failed: {error}");
    if !has_login(simulator, configuration, registry).map_err(failed)? {
        return Err(format!(
            "GET https://{registry}/v2/{}/manifests/{}: UNAUTHORIZED: authentication required, visit \
             https://aka.ms/acr/authorization for more information.",
            image.name, image.reference
        ));
    }
    match simulator.registry.has(&image.name, &image.reference).map_err(failed)? {
        true => Ok(()),
        false => Err(format!(
            "GET https://{registry}/v2/{}/manifests/{}: MANIFEST_UNKNOWN: manifest tagged by \"{}\" is not found",
            image.name, image.reference, image.reference
        )),
    }
}

/// Whether the configuration has a login for our registry, by an identity or a secret that opens it.
fn has_login(simulator: &Simulator, configuration: &Value, own: &str) -> rusqlite::Result<bool> {
    for registry in configuration["registries"].as_array().into_iter().flatten() {
        if !is_own(registry["server"].as_str().unwrap_or_default(), own) {
            continue;
        }
        if registry["identity"].as_str().is_some_and(|identity| !identity.is_empty()) {
            return Ok(true);
        }
        let mut secrets = configuration["secrets"].as_array().into_iter().flatten();
        let secret = secrets.find(|secret| secret["name"] == registry["passwordSecretRef"]);
        let password = secret.and_then(|secret| secret["value"].as_str()).unwrap_or_default();
        return auth::is_registry_password(simulator, password);
    }
    Ok(false)
}

/// The reference that the executor pulls.
pub fn pull(text: &str, registry: &str) -> String {
    let Some(image) = parse(text) else { return text.to_owned() };
    let host = if is_own(image.host, registry) { registry } else { image.host };
    let library = if host == "docker.io" && !image.name.contains('/') { "library/" } else { "" };
    let separator = if image.reference.contains(':') { '@' } else { ':' };
    format!("{host}/{library}{}{separator}{}", image.name, image.reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_pulled_from_where_they_say() {
        let own = "127.0.0.1:4000";
        assert_eq!(pull("busybox", own), "docker.io/library/busybox:latest");
        assert_eq!(pull("ghcr.io/a/b:1", own), "ghcr.io/a/b:1");
        assert_eq!(pull("localhost:4000/a", own), "127.0.0.1:4000/a:latest");
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(pull(&format!("127.0.0.1:4000/a:t@{digest}"), own), format!("127.0.0.1:4000/a@{digest}"));
        assert!(parse("A").is_none() && parse("").is_none() && parse("a@sha256:1").is_none());
    }
}

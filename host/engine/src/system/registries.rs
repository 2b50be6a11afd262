//! What `docker info` says of registries and proxies.

use std::collections::HashMap;

use bollard_stubs::models::{IndexInfo, RegistryServiceConfig};

use crate::RegistryFacts;

/// The registry that mirrors stand in for.
const HUB: &str = "docker.io";

/// As dockerd: Docker Hub with its mirrors, and each registry without TLS; networks stand apart.
pub(super) fn shown(facts: &RegistryFacts) -> RegistryServiceConfig {
    let mirrors: Vec<String> =
        facts.mirrors.iter().map(|url| format!("{}/", url.trim_end_matches('/'))).collect();
    let index = |name: &str, mirrors: Vec<String>, secure: bool, official: bool| {
        let index = IndexInfo {
            name: Some(name.to_owned()),
            mirrors: Some(mirrors),
            secure: Some(secure),
            official: Some(official),
        };
        (name.to_owned(), index)
    };
    let mut indexes = HashMap::from([index(HUB, mirrors.clone(), true, true)]);
    indexes.extend(facts.insecure.iter().map(|registry| index(registry, Vec::new(), false, false)));
    RegistryServiceConfig {
        insecure_registry_cidrs: Some(vec!["::1/128".into(), "127.0.0.0/8".into()]),
        index_configs: Some(indexes),
        mirrors: Some(mirrors),
    }
}

/// A proxy's URL as dockerd shows it: with `xxxxx` in the place of user and password.
pub(super) fn without_password(proxy: &str) -> String {
    let (scheme, rest) = proxy.split_once("://").map_or(("", proxy), |(scheme, rest)| (scheme, rest));
    let end = rest.find('/').unwrap_or(rest.len());
    let Some(at) = rest[..end].rfind('@') else { return proxy.to_owned() };
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{separator}xxxxx:xxxxx{}", &rest[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_and_registries_without_tls_are_shown_as_they_are_configured() {
        let facts = RegistryFacts {
            insecure: vec!["reg.lan:5000".into()],
            mirrors: vec!["https://mirror.lan".into(), "https://other.lan/".into()],
            ..RegistryFacts::default()
        };
        let shown = shown(&facts);
        let mirrors = Some(vec!["https://mirror.lan/".to_owned(), "https://other.lan/".to_owned()]);
        assert_eq!(shown.mirrors, mirrors);
        let indexes = shown.index_configs.unwrap();
        assert_eq!((&indexes[HUB].mirrors, indexes[HUB].secure), (&mirrors, Some(true)));
        assert_eq!(
            (indexes["reg.lan:5000"].secure, indexes["reg.lan:5000"].official),
            (Some(false), Some(false))
        );
    }

    #[test]
    fn a_proxy_is_shown_without_its_password() {
        for (proxy, shown) in [
            ("http://user:s@cret@proxy.lan:3128/", "http://xxxxx:xxxxx@proxy.lan:3128/"),
            ("user:secret@proxy.lan:3128", "xxxxx:xxxxx@proxy.lan:3128"),
            ("http://proxy.lan:3128", "http://proxy.lan:3128"),
            ("", ""),
        ] {
            assert_eq!(without_password(proxy), shown);
        }
    }
}

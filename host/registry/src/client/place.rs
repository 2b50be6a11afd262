//! Where a repository is: which address, spoken to how, as whom.

use std::net::IpAddr;

use sockerless_ports::registry::Login;

use crate::{
    config::{ImagesConfig, Mirror},
    reference::DOCKER_HUB,
};

/// The host behind `docker.io`.
const HUB_HOST: &str = "registry-1.docker.io";

/// A repository at an address.
#[derive(Debug, Clone)]
pub struct Place {
    /// `https://registry-1.docker.io`.
    pub base: String,
    /// `library/busybox`.
    pub repository: String,
    /// As whom.
    pub login: Option<Login>,
    /// What a token has to allow; several parts with spaces between.
    pub scope: String,
}

impl Place {
    /// The address of something in the repository.
    pub fn url(&self, what: &str) -> String {
        format!("{}/v2/{}/{what}", self.base, self.repository)
    }

    /// Whether the address is this registry's, so that it may get the login.
    pub fn is_at(&self, url: &str) -> bool {
        url.strip_prefix(&self.base).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The address to show when it was not reached: dockerd asks `/v2/` first and names that.
    pub fn shown(&self, url: &str, error: &reqwest::Error) -> String {
        if error.is_connect() { format!("{}/v2/", self.base) } else { url.to_owned() }
    }

    /// Also wants to take blobs over from another repository.
    pub fn mounting(mut self, from: &str) -> Self {
        self.scope = format!("{} repository:{from}:pull", self.scope);
        self
    }
}

/// Knows how registries are reached.
#[derive(Debug, Clone, Default)]
pub struct Places {
    insecure: Vec<String>,
    mirrors: Vec<Mirror>,
}

impl Places {
    /// As configured.
    pub fn new(config: &ImagesConfig) -> Self {
        Self { insecure: config.insecure.clone(), mirrors: config.mirrors.clone() }
    }

    /// A repository to read from, at its mirrors first. A login goes to the registry alone.
    pub fn pull(&self, registry: &str, repository: &str, login: Option<Login>) -> Vec<Place> {
        let place = |base: String, login: Option<Login>| Place {
            base,
            repository: repository.to_owned(),
            login,
            scope: format!("repository:{repository}:pull"),
        };
        let mirrors = self.mirrors.iter().filter(|mirror| mirror.registry == registry);
        mirrors
            .map(|mirror| place(mirror.url.trim_end_matches('/').to_owned(), None))
            .chain([place(self.base(registry), login)])
            .collect()
    }

    /// A repository to write to.
    pub fn push(&self, registry: &str, repository: &str, login: Option<Login>) -> Place {
        Place {
            base: self.base(registry),
            repository: repository.to_owned(),
            login,
            scope: format!("repository:{repository}:pull,push"),
        }
    }

    /// Scheme and authority of a registry.
    pub fn base(&self, registry: &str) -> String {
        let host = if registry == DOCKER_HUB { HUB_HOST } else { registry };
        let scheme =
            if is_loopback(host) || self.insecure.iter().any(|r| r == registry) { "http" } else { "https" };
        format!("{scheme}://{host}")
    }
}

/// Loopback needs no TLS, as for dockerd.
pub fn is_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => registry.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_what_the_operator_names_goes_without_tls() {
        let places = Places { insecure: vec!["reg.lan:5000".into()], mirrors: vec![] };
        for (registry, base) in [
            ("docker.io", "https://registry-1.docker.io"),
            ("localhost:5000", "http://localhost:5000"),
            ("127.1.2.3", "http://127.1.2.3"),
            ("[::1]:5000", "http://[::1]:5000"),
            ("reg.lan:5000", "http://reg.lan:5000"),
            ("reg.lan", "https://reg.lan"),
            ("localhost.example", "https://localhost.example"),
        ] {
            assert_eq!(places.base(registry), base);
        }
    }
}

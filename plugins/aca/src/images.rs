//! Where Container Apps takes images from.

use sockerless_plugin_sdk::plugin::ImageSources;

use crate::{manifest, settings::Config};

/// Registries whose public images are pulled without a login.
const PUBLIC: [&str; 9] = [
    "docker.io",
    "mcr.microsoft.com",
    "ghcr.io",
    "quay.io",
    "gcr.io",
    "registry.k8s.io",
    "public.ecr.aws",
    "registry.gitlab.com",
    "lscr.io",
];

/// With a repository everything but the two that never ask for a login is copied there, since an image may be private;
/// without one, Container Apps tries by itself. Only linux/amd64 runs.
pub fn sources(config: &Config) -> ImageSources {
    let without_login = if config.repository.is_some() { 2 } else { PUBLIC.len() };
    let mut direct: Vec<String> = PUBLIC[..without_login].iter().map(|&host| host.to_owned()).collect();
    if let Some((host, _)) = config.repository.as_deref().and_then(|repository| repository.split_once('/')) {
        direct.push(host.to_owned());
    }
    ImageSources {
        direct,
        repository: config.repository.clone(),
        credential: Some(manifest::ARM.into()),
        platforms: vec!["linux/amd64".into()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::config;

    #[test]
    fn the_repositorys_own_registry_is_direct_and_others_are_copied() {
        assert!(sources(&config()).direct.contains(&"ghcr.io".to_owned()));
        let own = Config { repository: Some("r.azurecr.io/containers".into()), ..config() };
        assert_eq!(sources(&own).direct, ["docker.io", "mcr.microsoft.com", "r.azurecr.io"]);
    }
}

//! Where Cloud Run takes images from.

use sockerless_plugin_sdk::plugin::ImageSources;

use crate::{google, settings::Config};

/// Docker Hub and Artifact Registry are pulled directly; everything else is copied to the
/// operator's repository. Only linux/amd64 runs.
pub fn sources(config: &Config) -> ImageSources {
    let mut direct = vec!["docker.io".to_owned(), "*-docker.pkg.dev".to_owned()];
    if let Some((host, _)) = config.repository.as_deref().and_then(|repository| repository.split_once('/'))
        && !host.ends_with("-docker.pkg.dev")
    {
        direct.push(host.to_owned());
    }
    ImageSources {
        direct,
        repository: config.repository.clone(),
        credential: Some(google::CREDENTIAL.into()),
        platforms: vec!["linux/amd64".into()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::config;

    #[test]
    fn the_repositorys_own_registry_is_direct() {
        assert_eq!(sources(&config()).direct, ["docker.io", "*-docker.pkg.dev"]);
        let own = Config { repository: Some("127.0.0.1:5000/p/r".into()), ..config() };
        assert_eq!(sources(&own).direct, ["docker.io", "*-docker.pkg.dev", "127.0.0.1:5000"]);
        let cloud = Config { repository: Some("us-docker.pkg.dev/p/r".into()), ..config() };
        assert_eq!(sources(&cloud).direct.len(), 2);
    }
}

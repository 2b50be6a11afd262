//! What is read of manifests, indexes and image configurations (OCI image specification 1.1 and
//! Docker's image manifest, version 2 schema 2, which differ in their media types only).

use serde::{Deserialize, Deserializer};

use super::ImageError;
use crate::spec::FailureReason;

/// What clouds run, whatever this machine is.
const PLATFORM: (&str, &str) = ("linux", "amd64");

/// An index or a manifest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    /// Of an index.
    manifests: Option<Vec<Descriptor>>,
    /// Of a manifest.
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: String,
    pub size: u64,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

/// What a manifest leads to.
#[derive(Debug)]
pub(crate) enum Target {
    /// Another document, by digest.
    Manifest(String),
    /// An image: its configuration, and its layers from the lowest on.
    Image { config: Descriptor, layers: Vec<Descriptor> },
}

impl Manifest {
    pub(crate) fn target(self) -> Result<Target, ImageError> {
        if let Some(manifests) = self.manifests {
            return choose(&manifests).map(Target::Manifest);
        }
        match (self.config, self.layers) {
            (Some(config), Some(layers)) => {
                if let Some(layer) = layers.iter().find(|layer| !is_layer(&layer.media_type)) {
                    return Err(ImageError::invalid(format!(
                        "layers of type {} cannot be run",
                        layer.media_type
                    )));
                }
                Ok(Target::Image { config, layers })
            }
            _ => Err(ImageError::invalid("neither an image manifest nor an index")),
        }
    }
}

/// Compression is told from the content; foreign layers are not in the registry.
fn is_layer(media_type: &str) -> bool {
    media_type.is_empty()
        || (media_type.contains("tar")
            && !media_type.contains("nondistributable")
            && !media_type.contains("foreign"))
}

fn choose(manifests: &[Descriptor]) -> Result<String, ImageError> {
    let fits = |descriptor: &&Descriptor| {
        descriptor.platform.as_ref().is_some_and(|platform| {
            (platform.os.as_str(), platform.architecture.as_str()) == PLATFORM
                && platform.variant.as_deref().is_none_or(|variant| variant.is_empty() || variant == "v1")
        })
    };
    if let Some(descriptor) = manifests.iter().find(fits) {
        return Ok(descriptor.digest.clone());
    }
    // An index of one image that names no platform: its configuration will tell.
    if let [only] = manifests
        && only.platform.is_none()
    {
        return Ok(only.digest.clone());
    }
    let offered: Vec<_> = manifests
        .iter()
        .filter_map(|descriptor| descriptor.platform.as_ref())
        .filter(|platform| platform.os != "unknown")
        .map(|platform| format!("{}/{}", platform.os, platform.architecture))
        .collect();
    Err(wrong_platform(&offered.join(", ")))
}

fn wrong_platform(offered: &str) -> ImageError {
    let (os, architecture) = PLATFORM;
    ImageError::new(
        FailureReason::ImagePlatform,
        format!("the image has to be for {os}/{architecture}, and is for {offered}"),
    )
}

/// The part of an image's configuration that decides how it runs.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct ImageConfig {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default, deserialize_with = "nullable")]
    pub config: RunConfig,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RunConfig {
    #[serde(deserialize_with = "nullable")]
    pub user: String,
    #[serde(deserialize_with = "nullable")]
    pub env: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub entrypoint: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub cmd: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub working_dir: String,
}

/// Docker writes `null` where it has nothing.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

impl ImageConfig {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ImageError> {
        let config: Self = serde_json::from_slice(bytes)
            .map_err(|error| ImageError::invalid(format!("image configuration: {error}")))?;
        if (config.os.as_str(), config.architecture.as_str()) != PLATFORM {
            return Err(wrong_platform(&format!("{}/{}", config.os, config.architecture)));
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(json: &str) -> Result<Target, ImageError> {
        serde_json::from_str::<Manifest>(json).unwrap().target()
    }

    #[test]
    fn an_index_leads_to_its_linux_amd64_manifest() {
        let index = r#"{"manifests":[
            {"size":1,"digest":"sha256:a","platform":{"os":"linux","architecture":"arm64","variant":"v8"}},
            {"size":1,"digest":"sha256:b","platform":{"os":"linux","architecture":"amd64"}},
            {"size":1,"digest":"sha256:c","platform":{"os":"unknown","architecture":"unknown"}}]}"#;
        assert!(matches!(target(index), Ok(Target::Manifest(digest)) if digest == "sha256:b"));
    }

    #[test]
    fn an_index_without_it_names_what_there_is() {
        let index = r#"{"manifests":[{"size":1,"digest":"sha256:a","platform":{"os":"linux","architecture":"arm64"}},
            {"size":1,"digest":"sha256:c","platform":{"os":"unknown","architecture":"unknown"}}]}"#;
        let error = target(index).unwrap_err();
        assert_eq!(error.reason, FailureReason::ImagePlatform);
        assert!(error.message.ends_with("is for linux/arm64"), "{}", error.message);
    }

    #[test]
    fn a_configuration_of_docker_with_nulls_is_read() {
        let config = r#"{"os":"linux","architecture":"amd64","config":{"Env":null,"Cmd":["sh"],"Entrypoint":null,"User":""}}"#;
        assert_eq!(ImageConfig::parse(config.as_bytes()).unwrap().config.cmd, ["sh"]);
        assert_eq!(
            ImageConfig::parse(br#"{"os":"linux","architecture":"arm64"}"#).unwrap_err().reason,
            FailureReason::ImagePlatform
        );
    }

    #[test]
    fn foreign_layers_are_refused() {
        let manifest = r#"{"config":{"size":1,"digest":"sha256:a"},"layers":[{"size":1,"digest":"sha256:b",
            "mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}]}"#;
        assert_eq!(target(manifest).unwrap_err().reason, FailureReason::ImageInvalid);
    }
}

//! `docker system df`.

use std::collections::HashMap;

use bollard_stubs::models::{ImageSummary, Volume, VolumeUsageData};
use futures_util::{StreamExt, stream};
use sockerless_ports::registry::Image;

use crate::{DiskUsage, DiskUsageRequest, Engine, Filters, ListRequest, Result, tuning, volumes::size};

impl Engine {
    /// `GET /system/df`. What a container has written to its own file system is known to no cloud; there is no build cache.
    ///
    /// A volume whose backend does not answer has the size -1, as Docker's API has it for what is not known; the log says why.
    pub async fn disk_usage(&self, request: DiskUsageRequest) -> Result<DiskUsage> {
        let DiskUsageRequest { images, containers, volumes } = request;
        let mut usage = DiskUsage::default();
        if images {
            let all = self.images_with_names().await?;
            let layers = Layers::of(all.iter().map(|(image, _)| image));
            usage.layers_size = layers.size();
            usage.images =
                Some(all.iter().map(|(image, summary)| self.summed(image, summary, &layers)).collect());
        }
        if containers {
            let request = ListRequest { all: true, size: true, ..ListRequest::default() };
            usage.containers = Some(self.list(&request)?);
        }
        if volumes {
            let all = self.list_volumes(&Filters::new())?.volumes.unwrap_or_default();
            let all = stream::iter(all.into_iter().map(|volume| self.used(volume)));
            usage.volumes = Some(all.buffered(tuning::USAGES).collect().await);
        }
        Ok(usage)
    }

    fn summed(&self, image: &Image, summary: &ImageSummary, layers: &Layers<'_>) -> ImageSummary {
        let users = self.containers.all().iter().filter(|entry| entry.spec.image_id == image.id).count();
        ImageSummary {
            shared_size: layers.shared(image),
            containers: i64::try_from(users).unwrap_or(i64::MAX),
            ..summary.clone()
        }
    }

    async fn used(&self, volume: Volume) -> Volume {
        let ref_count = i64::try_from(self.users(&volume.name).len()).unwrap_or(i64::MAX);
        let size = match self.volumes.get(&volume.name) {
            Some(kept) => match self.volume_usage(&kept).await {
                Ok(usage) => size(usage),
                Err(error) => {
                    tracing::warn!(volume = volume.name, %error, "how much a volume holds is not known");
                    -1
                }
            },
            // It is a part of its container.
            None => -1,
        };
        Volume { usage_data: Some(VolumeUsageData { size, ref_count }), ..volume }
    }
}

/// The layers of all images: how large each is, and how many images have it.
struct Layers<'a>(HashMap<&'a str, (u64, usize)>);

impl<'a> Layers<'a> {
    fn of(images: impl Iterator<Item = &'a Image>) -> Self {
        let mut all: HashMap<&str, (u64, usize)> = HashMap::new();
        for (layer, size) in images.flat_map(layers) {
            let known = all.entry(layer).or_insert((size, 0));
            known.1 += 1;
        }
        Self(all)
    }

    /// Bytes of all, each once.
    fn size(&self) -> i64 {
        signed(self.0.values().map(|(size, _)| size).sum())
    }

    /// Bytes of the layers that an image has in common with others.
    fn shared(&self, image: &Image) -> i64 {
        let several = |layer: &str| self.0.get(layer).is_some_and(|(_, images)| *images > 1);
        signed(layers(image).filter(|(layer, _)| several(layer)).map(|(_, size)| size).sum())
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Each layer of an image, with its size. An image whose history does not tell its layers' sizes counts as one layer of its own.
fn layers(image: &Image) -> impl Iterator<Item = (&str, u64)> {
    let steps: Vec<u64> =
        image.history.iter().filter(|step| !step.empty_layer).map(|step| step.size).collect();
    let told = steps.len() == image.diff_ids.len() && steps.iter().sum::<u64>() == image.size;
    let (each, whole) = match told {
        true => (image.diff_ids.as_slice(), None),
        false => (&[][..], Some((image.id.as_str(), image.size))),
    };
    each.iter().map(String::as_str).zip(steps).chain(whole)
}

#[cfg(test)]
mod tests {
    use sockerless_ports::registry::History;

    use super::*;

    fn image(id: &str, layers: &[(&str, u64)]) -> Image {
        let step = |size: u64| History { size, ..History::default() };
        let nothing = History { empty_layer: true, ..History::default() };
        let history = layers.iter().map(|(_, size)| step(*size)).chain([nothing]);
        Image {
            id: id.to_owned(),
            size: layers.iter().map(|(_, size)| size).sum(),
            diff_ids: layers.iter().map(|(layer, _)| (*layer).to_owned()).collect(),
            history: history.collect(),
            ..Image::default()
        }
    }

    #[test]
    fn a_layer_that_several_images_have_counts_once() {
        let images = [
            image("a", &[("base", 100), ("app", 7)]),
            image("b", &[("base", 100)]),
            image("c", &[("own", 1)]),
        ];
        let layers = Layers::of(images.iter());
        assert_eq!(layers.size(), 108);
        assert_eq!(images.each_ref().map(|image| layers.shared(image)), [100, 100, 0]);
    }

    #[test]
    fn an_image_without_a_history_is_a_layer_of_its_own() {
        let bare = Image { history: Vec::new(), ..image("a", &[("base", 100)]) };
        let images = [bare, image("b", &[("base", 100)])];
        let layers = Layers::of(images.iter());
        assert_eq!((layers.size(), layers.shared(&images[0])), (200, 0));
    }
}

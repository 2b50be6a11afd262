use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest as _, Sha256};
use sockerless_ports::{Registry, backend::ImageSources, registry::*};

/// Images in memory: `busybox:latest` is there from the beginning.
pub struct FakeRegistry {
    images: Mutex<Vec<Image>>,
    /// Tars by image.
    layers: Mutex<HashMap<String, Vec<Vec<u8>>>>,
    /// What was committed.
    pub commits: Mutex<Vec<CommitImage>>,
    /// What `provide` answers, if not success.
    pub refusal: Mutex<Option<ImageError>>,
    /// What `forget` was told of.
    pub forgotten: Mutex<Vec<String>>,
    /// What was published, and where.
    pub published: Mutex<Vec<(Bundle, String)>>,
    /// What `publish` answers, if not success.
    pub closed: Mutex<Option<ImageError>>,
}

pub fn image(name: &str, digit: char) -> Image {
    let digest = format!("sha256:{}", digit.to_string().repeat(64));
    Image {
        id: digest.clone(),
        tags: vec![name.to_owned()],
        manifest_digest: digest,
        created: "2024-01-01T00:00:00Z".into(),
        size: 1000,
        architecture: "amd64".into(),
        os: "linux".into(),
        config: ImageConfig {
            env: vec!["PATH=/bin".into()],
            cmd: Some(vec!["sh".into()]),
            ..ImageConfig::default()
        },
        ..Image::default()
    }
}

impl FakeRegistry {
    pub fn new() -> Arc<Self> {
        let images = Mutex::new(vec![image("busybox:latest", 'a')]);
        Arc::new(Self {
            images,
            layers: Mutex::default(),
            commits: Mutex::default(),
            refusal: Mutex::default(),
            forgotten: Mutex::default(),
            published: Mutex::default(),
            closed: Mutex::default(),
        })
    }

    /// An image of these layers, base first.
    pub fn add_layers(&self, name: &str, layers: Vec<Vec<u8>>) {
        let mut image = image(name, 'f');
        image.diff_ids =
            layers.iter().map(|layer| format!("sha256:{}", hex::encode(Sha256::digest(layer)))).collect();
        self.layers.lock().unwrap().insert(image.id.clone(), layers);
        self.add(image);
    }

    /// The tars of an image's layers.
    pub fn layers_of(&self, id: &str) -> Vec<Vec<u8>> {
        self.layers.lock().unwrap()[id].clone()
    }

    /// The bytes of all layers are gone.
    pub fn forget_layers(&self) {
        self.layers.lock().unwrap().clear();
    }

    pub fn add(&self, image: Image) {
        self.images.lock().unwrap().push(image);
    }

    fn position(&self, reference: &str) -> Result<usize, ImageError> {
        let tagged =
            if reference.contains(':') { reference.to_owned() } else { format!("{reference}:latest") };
        let images = self.images.lock().unwrap();
        let found = images.iter().position(|image| {
            let hex = image.id.trim_start_matches("sha256:");
            image.tags.contains(&tagged)
                || image.id == reference
                || (reference.len() > 5 && hex.starts_with(reference))
        });
        found.ok_or_else(|| ImageError::NotFound(format!("no {reference}")))
    }
}

#[async_trait]
impl Registry for FakeRegistry {
    async fn pull(&self, request: PullRequest, progress: Progress) -> Result<Image, ImageError> {
        // As the real one: it names what it pulls before it has asked for it.
        let headline = ProgressEvent { status: "Pulling from somewhere".into(), ..ProgressEvent::default() };
        let _ = progress.send(headline).await;
        if request.reference.contains("missing") {
            return Err(ImageError::NotFound("manifest unknown".into()));
        }
        let _ = progress.send(ProgressEvent { status: "Pulling".into(), ..ProgressEvent::default() }).await;
        if request.reference.contains("broken") {
            return Err(ImageError::Unavailable("connection reset".into()));
        }
        let image = image(&request.reference, 'b');
        self.add(image.clone());
        Ok(image)
    }

    async fn login(&self, login: Login) -> Result<String, ImageError> {
        match login.password.as_str() {
            "secret" => Ok("token".into()),
            _ => Err(ImageError::Denied("unauthorized: incorrect username or password".into())),
        }
    }

    async fn load(&self, _: Archive, _: Progress) -> Result<Vec<Loaded>, ImageError> {
        self.add(image("loaded:1", 'c'));
        let id = image("", 'c').id;
        Ok(vec![Loaded { id: id.clone(), name: Some("loaded:1".into()) }, Loaded { id, name: None }])
    }

    async fn import(&self, _: Archive, _: ImportRequest) -> Result<Image, ImageError> {
        let image = image("imported:1", 'd');
        self.add(image.clone());
        Ok(image)
    }

    async fn find(&self, reference: &str) -> Result<Image, ImageError> {
        let position = self.position(reference)?;
        Ok(self.images.lock().unwrap()[position].clone())
    }

    async fn list(&self) -> Vec<Image> {
        self.images.lock().unwrap().clone()
    }

    async fn tag(&self, reference: &str, name: &str) -> Result<Image, ImageError> {
        let position = self.position(reference)?;
        let image = &mut self.images.lock().unwrap()[position];
        image.tags.push(name.to_owned());
        Ok(image.clone())
    }

    async fn remove(
        &self,
        reference: &str,
        force: bool,
        in_use: &[ImageUse],
    ) -> Result<Vec<Removed>, ImageError> {
        let position = self.position(reference)?;
        let mut images = self.images.lock().unwrap();
        let id = images[position].id.clone();
        if in_use.iter().any(|used| used.image == id && (used.running || !force)) {
            return Err(ImageError::Conflict("image is being used".into()));
        }
        let gone = images.remove(position);
        Ok(gone.tags.into_iter().map(Removed::Untagged).chain([Removed::Deleted(id)]).collect())
    }

    async fn provide(&self, id: &str, _: &ImageSources, _: Progress) -> Result<String, ImageError> {
        match self.refusal.lock().unwrap().clone() {
            Some(refusal) => Err(refusal),
            None => Ok(format!("registry.test/images@{id}")),
        }
    }

    fn forget(&self, id: &str) {
        self.forgotten.lock().unwrap().push(id.to_owned());
    }

    async fn publish(&self, bundle: &Bundle, sources: &ImageSources) -> Result<String, ImageError> {
        if let Some(refusal) = self.closed.lock().unwrap().clone() {
            return Err(refusal);
        }
        let place = sources.repository.clone().unwrap();
        let reference = format!("{place}/{}@sha256:{}", bundle.name, "9".repeat(64));
        self.published.lock().unwrap().push((bundle.clone(), place));
        Ok(reference)
    }

    async fn layer(&self, id: &str, layer: usize) -> Result<Archive, ImageError> {
        let layers = self.layers.lock().unwrap();
        let bytes = layers.get(id).and_then(|layers| layers.get(layer)).cloned();
        let bytes =
            bytes.ok_or_else(|| ImageError::Unavailable(format!("layer {layer} of {id} is nowhere")))?;
        Ok(stream::iter([Ok(bytes.into())]).boxed())
    }

    fn changed(&self, mut config: ImageConfig, changes: &[String]) -> Result<ImageConfig, ImageError> {
        for change in changes {
            let user = change.strip_prefix("USER ");
            config.user =
                user.ok_or_else(|| ImageError::Invalid("not a valid change command".into()))?.to_owned();
        }
        Ok(config)
    }

    async fn commit(&self, layer: Archive, request: CommitImage) -> Result<Image, ImageError> {
        let pieces: Vec<_> =
            layer.try_collect().await.map_err(|error| ImageError::Internal(error.to_string()))?;
        let parent = self.find(&request.parent).await?;
        let made = Image {
            tags: request.name.clone().into_iter().collect(),
            config: request.config.clone(),
            diff_ids: [parent.diff_ids, vec![format!("sha256:{}", "c".repeat(64))]].concat(),
            ..image("", 'e')
        };
        let below = self.layers.lock().unwrap().get(&request.parent).cloned().unwrap_or_default();
        self.layers.lock().unwrap().insert(made.id.clone(), [below, vec![pieces.concat()]].concat());
        self.commits.lock().unwrap().push(request);
        self.add(made.clone());
        Ok(made)
    }

    async fn save(&self, references: &[String]) -> Result<Archive, ImageError> {
        for reference in references {
            self.position(reference)?;
        }
        Ok(stream::iter([Ok(references.join(" ").into())]).boxed())
    }
}

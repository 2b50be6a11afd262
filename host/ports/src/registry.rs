//! Images: where they come from, what is known of them, and how a cloud gets at them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// The images that this daemon knows.
///
/// A pulled image is known by manifest and configuration; its layers stay in the registry until
/// somebody needs them here. The layers of a loaded or imported image are kept on disk.
#[async_trait]
pub trait Registry: Send + Sync + 'static {
    /// Fetches manifest and configuration and names the image.
    async fn pull(&self, request: PullRequest, progress: Progress) -> Result<Image, ImageError>;

    /// Asks the login's registry whether it takes the login. Gives the identity token to use from then on instead
    /// of the password, empty when the registry has none. Errors: `Denied` when it refuses.
    async fn login(&self, login: Login) -> Result<String, ImageError>;

    /// Takes the archive of `docker save` or an OCI layout (tar, perhaps compressed). Gives the
    /// images in it.
    async fn load(&self, archive: Archive, progress: Progress) -> Result<Vec<Loaded>, ImageError>;

    /// Makes an image of one layer from a file system's tar.
    async fn import(&self, archive: Archive, request: ImportRequest) -> Result<Image, ImageError>;

    /// The image that a user means by a name, an id, a digest or the beginning of an id.
    async fn find(&self, reference: &str) -> Result<Image, ImageError>;

    /// All images.
    async fn list(&self) -> Vec<Image>;

    /// Gives an image another name.
    async fn tag(&self, reference: &str, name: &str) -> Result<Image, ImageError>;

    /// Takes a name away, and the image with its last one. `in_use` are ids of images that
    /// containers need.
    async fn remove(
        &self,
        reference: &str,
        force: bool,
        in_use: &[ImageUse],
    ) -> Result<Vec<Removed>, ImageError>;

    /// Makes sure that the cloud can pull the image, copying what it cannot get by itself, and
    /// gives the reference to use there (by digest).
    async fn provide(
        &self,
        id: &str,
        sources: &crate::backend::ImageSources,
        progress: Progress,
    ) -> Result<String, ImageError>;

    /// Forgets where an image is for a cloud, after a start that failed: the next [`provide`](Self::provide) looks.
    fn forget(&self, id: &str);

    /// Has an image of the host's own in the backend's repository, and gives the reference to use in the cloud (by digest).
    /// Equal bundles are equal images, byte for byte: what is there already is not pushed again. Errors: `Invalid` without a
    /// repository.
    async fn publish(
        &self,
        bundle: &Bundle,
        sources: &crate::backend::ImageSources,
    ) -> Result<String, ImageError>;

    /// The tar of one layer as it is stored, perhaps compressed, from here or from where the image came from; layers are
    /// counted from the base. It breaks off with an error when it is not what its digest says.
    async fn layer(&self, id: &str, layer: usize) -> Result<Archive, ImageError>;

    /// A configuration after Dockerfile instructions (`CMD`, `ENV`, …). Errors: `Invalid`, for what a change may not be.
    fn changed(&self, config: ImageConfig, changes: &[String]) -> Result<ImageConfig, ImageError>;

    /// Makes an image of another one and a layer over it (a tar with OCI's whiteouts).
    async fn commit(&self, layer: Archive, request: CommitImage) -> Result<Image, ImageError>;

    /// The archive of `docker save` with these images, which is an OCI layout, too. All are found before it begins.
    async fn save(&self, references: &[String]) -> Result<Archive, ImageError>;
}

/// Bytes of an archive, as they come from a client.
pub type Archive = BoxStream<'static, Result<Bytes, std::io::Error>>;

/// Where progress is told; a full channel makes the work wait, a closed one does not stop it.
pub type Progress = mpsc::Sender<ProgressEvent>;

/// One message of progress, in the terms of Docker's JSON stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgressEvent {
    /// A layer's short id, or a tag.
    pub id: Option<String>,
    /// "Pulling fs layer", "Status: Image is up to date for busybox:latest".
    pub status: String,
    /// Bytes done and bytes in all.
    pub bytes: Option<(u64, u64)>,
}

/// What to pull.
#[derive(Debug, Clone)]
pub struct PullRequest {
    /// As the user wrote it: `busybox`, `localhost:5000/a/b:tag`, `name@sha256:…`.
    pub reference: String,
    /// `linux/amd64`; none for the default.
    pub platform: Option<String>,
    /// The login for the image's registry.
    pub login: Option<Login>,
}

/// A login for a registry (the `X-Registry-Auth` header, decoded).
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Login {
    /// User.
    pub username: String,
    /// Password or access token.
    pub password: String,
    /// Refresh token instead of both.
    pub identitytoken: String,
    /// The registry it is meant for.
    pub serveraddress: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("username", &self.username)
            .field("serveraddress", &self.serveraddress)
            .finish_non_exhaustive()
    }
}

/// How to make an image of a tar.
#[derive(Debug, Clone, Default)]
pub struct ImportRequest {
    /// The name to give: `repository[:tag]`; none for an image without one.
    pub name: Option<String>,
    /// The history's comment.
    pub message: String,
    /// Dockerfile instructions (`CMD`, `ENV`, …) that change the configuration.
    pub changes: Vec<String>,
    /// `linux/amd64`; none for the default.
    pub platform: Option<String>,
}

/// An image for linux/amd64 of one layer with some programs, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Its path below the backend's repository, `[a-z0-9]+([-./_][a-z0-9]+)*`.
    pub name: String,
    /// By absolute path. They are root's, and everybody may execute them.
    pub programs: BTreeMap<String, Bytes>,
    /// What it runs.
    pub entrypoint: Vec<String>,
}

/// What to make of a layer.
#[derive(Debug, Clone, Default)]
pub struct CommitImage {
    /// The id of the image below.
    pub parent: String,
    /// The name to give: `repository[:tag]`; none for an image without one.
    pub name: Option<String>,
    /// Who made it.
    pub author: String,
    /// The history's comment.
    pub comment: String,
    /// The command that made the layer.
    pub created_by: String,
    /// The new image's.
    pub config: ImageConfig,
}

/// A loaded image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its id, `sha256:…`.
    pub id: String,
    /// The name that the archive gives it, if it does.
    pub name: Option<String>,
}

/// An image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// `sha256:…` of the configuration.
    pub id: String,
    /// `repository:tag` as Docker shows it (`busybox:latest`).
    pub tags: Vec<String>,
    /// `repository@sha256:…`.
    pub digests: Vec<String>,
    /// `sha256:…` of the platform's manifest.
    pub manifest_digest: String,
    /// RFC 3339; empty when the configuration names none.
    pub created: String,
    /// Sum of the layers' sizes in bytes, as they are stored.
    pub size: u64,
    /// `amd64`.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// `v8`; empty when there is none.
    pub variant: String,
    /// What a container gets by default.
    pub config: ImageConfig,
    /// `sha256:…` of each layer uncompressed, base first.
    pub diff_ids: Vec<String>,
    /// How it was made, oldest first.
    pub history: Vec<History>,
    /// Who made it.
    pub author: String,
    /// Comment of the maker.
    pub comment: String,
    /// When it got its last name: RFC 3339.
    pub last_tagged: String,
}

/// What an image gives its containers by default. Lists keep their order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ImageConfig {
    /// `user[:group]`.
    pub user: String,
    /// `8080/tcp`.
    #[serde(deserialize_with = "null_default")]
    pub exposed_ports: BTreeMap<String, Empty>,
    /// `NAME=value`.
    #[serde(deserialize_with = "null_default")]
    pub env: Vec<String>,
    /// None when the image has none.
    pub entrypoint: Option<Vec<String>>,
    /// None when the image has none.
    pub cmd: Option<Vec<String>>,
    /// Paths.
    #[serde(deserialize_with = "null_default")]
    pub volumes: BTreeMap<String, Empty>,
    /// Absolute.
    pub working_dir: String,
    /// Labels.
    #[serde(deserialize_with = "null_default")]
    pub labels: BTreeMap<String, String>,
    /// `SIGTERM` or a number.
    pub stop_signal: String,
    /// Seconds.
    pub stop_timeout: Option<i64>,
    /// As the configuration has it.
    pub healthcheck: Option<serde_json::Value>,
    /// For the shell form of instructions.
    pub shell: Option<Vec<String>>,
    /// Instructions for images built on this one.
    pub on_build: Option<Vec<String>>,
}

/// `{}` in an OCI configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

fn null_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A step of an image's making.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// RFC 3339.
    pub created: String,
    /// The command.
    pub created_by: String,
    /// A comment.
    pub comment: String,
    /// It made no layer.
    pub empty_layer: bool,
    /// Bytes of its layer.
    pub size: u64,
}

/// A container's use of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUse {
    /// The image's id.
    pub image: String,
    /// The container's id.
    pub container: String,
    /// It runs: even force does not remove the image.
    pub running: bool,
}

/// What `remove` did, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A name was taken away.
    Untagged(String),
    /// An image, or a layer, is gone.
    Deleted(String),
}

/// Why an image cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The name is malformed. Docker: 400.
    #[error("{0}")]
    Invalid(String),
    /// Neither here nor there. Docker: 404.
    #[error("{0}")]
    NotFound(String),
    /// A container or another name stands in the way. Docker: 409.
    #[error("{0}")]
    Conflict(String),
    /// The registry refuses. Docker: 401, 403 or 404 for a pull.
    #[error("{0}")]
    Denied(String),
    /// The registry does not answer, or nonsense. Docker: 500.
    #[error("{0}")]
    Unavailable(String),
    /// This machine's disk or memory. Docker: 500.
    #[error("{0}")]
    Internal(String),
}

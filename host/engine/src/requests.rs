//! What clients ask, parsed.

use std::{collections::BTreeMap, time::SystemTime};

use bollard_stubs::models::{ContainerConfig, HostConfig, ImageSummary, NetworkingConfig, Volume};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use sockerless_ports::{
    link::{Output, TerminalSize},
    registry::Login,
};

use crate::Listing;

/// Docker's `filters`: a name and the values of which one (or all, by name) has to match.
pub type Filters = BTreeMap<String, Vec<String>>;

/// `POST /containers/create`
#[derive(Debug, Clone, Default)]
pub struct CreateRequest {
    /// `?name=`, with or without a leading slash.
    pub name: Option<String>,
    /// `?platform=`
    pub platform: Option<String>,
    /// The body's own fields.
    pub config: ContainerConfig,
    /// `HostConfig`
    pub host: HostConfig,
    /// `NetworkingConfig`
    pub networking: NetworkingConfig,
}

/// `GET /containers/json`
#[derive(Debug, Clone, Default)]
pub struct ListRequest {
    /// Not only running ones.
    pub all: bool,
    /// The newest so many, running or not.
    pub limit: Option<usize>,
    /// With sizes.
    pub size: bool,
    /// See the API's list.
    pub filters: Filters,
}

/// `GET /containers/{id}/logs`
#[derive(Debug, Clone, Default)]
pub struct LogsRequest {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Go on with what comes.
    pub follow: bool,
    /// A time stamp before each line.
    pub timestamps: bool,
    /// Labels and variables named by log options before each line (`--details`).
    pub details: bool,
    /// Written at this time or later.
    pub since: Option<SystemTime>,
    /// Written before this time.
    pub until: Option<SystemTime>,
    /// The last so many lines; none for all.
    pub tail: Option<u64>,
}

/// `POST /containers/{id}/attach` and its websocket form.
#[derive(Debug, Clone, Default)]
pub struct AttachRequest {
    /// First what was written before.
    pub logs: bool,
    /// Then what is written from now on.
    pub stream: bool,
    /// The client sends standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// The keys that detach, as `ctrl-p,ctrl-q`.
    pub detach_keys: Option<String>,
}

/// Bytes that a container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputChunk {
    /// Where to.
    pub output: Output,
    /// What; with time stamps and details already in it.
    pub bytes: Bytes,
}

/// A container's output for one client.
pub struct OutputStream {
    /// The container has a terminal: bytes go out raw, without frames.
    pub tty: bool,
    /// Ends with the container's run, or with what was asked for.
    pub chunks: BoxStream<'static, crate::Result<OutputChunk>>,
}

/// `GET /containers/{id}/stats`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatsRequest {
    /// Once a second until the client goes.
    pub stream: bool,
    /// A single answer at once, with nothing to compare it with.
    pub one_shot: bool,
}

/// `POST /exec/{id}/start`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExecStart {
    /// Nobody waits for it.
    pub detach: bool,
    /// The client takes the output raw, without frames; whether the process has a terminal was said before.
    pub tty: bool,
    /// The terminal's first size.
    pub size: Option<TerminalSize>,
}

/// `POST /containers/{id}/wait`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// At once if it does not run.
    #[default]
    NotRunning,
    /// The next time that it ends.
    NextExit,
    /// When it is removed.
    Removed,
}

/// `DELETE /containers/{id}`
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveRequest {
    /// Kill it first.
    pub force: bool,
    /// Its anonymous volumes too.
    pub volumes: bool,
    /// A link, not the container.
    pub link: bool,
}

/// Whether a call changed something: not changed is status 304.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did.
    Done,
    /// Already so.
    NotModified,
}

/// `POST /images/create` from a registry.
#[derive(Debug, Clone, Default)]
pub struct PullImage {
    /// `fromImage` with `tag` (a tag or a digest) joined to it.
    pub reference: String,
    /// `?platform=`
    pub platform: Option<String>,
    /// From `X-Registry-Auth`.
    pub login: Option<Login>,
}

/// `GET /events`
#[derive(Debug, Clone, Default)]
pub struct EventsRequest {
    /// From this time on, out of what is remembered.
    pub since: Option<SystemTime>,
    /// Until then; the stream ends there.
    pub until: Option<SystemTime>,
    /// See the API's list.
    pub filters: Filters,
}

/// `PUT /containers/{id}/archive`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutArchive {
    /// The directory to unpack into.
    pub path: String,
    /// `noOverwriteDirNonDir`: a directory must not replace what is none, nor the reverse.
    pub keep_kind: bool,
    /// `copyUIDGID`: everything belongs to the container's user, if it has one.
    pub copy_owner: bool,
}

/// `POST /commit`
#[derive(Debug, Clone, Default)]
pub struct CommitContainer {
    /// Name or id.
    pub container: String,
    /// `?repo=`; empty for an image without a name.
    pub repository: String,
    /// `?tag=`; empty for `latest`.
    pub tag: String,
    /// Of the image's history.
    pub comment: String,
    /// Who made it.
    pub author: String,
    /// The container's processes stand still meanwhile.
    pub pause: bool,
    /// Dockerfile instructions.
    pub changes: Vec<String>,
    /// The image's configuration in the place of the container's own.
    pub config: Option<ContainerConfig>,
}

/// `GET /system/df`: what to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskUsageRequest {
    /// Images and their layers.
    pub images: bool,
    /// Containers.
    pub containers: bool,
    /// Volumes; each is asked for at its backend.
    pub volumes: bool,
}

/// The answer; nothing for what was not to be counted.
#[derive(Debug, Clone, Default)]
pub struct DiskUsage {
    /// Bytes of all layers of all images, each once.
    pub layers_size: i64,
    /// With how much they share and how many containers they have.
    pub images: Option<Vec<ImageSummary>>,
    /// All containers, with sizes.
    pub containers: Option<Listing>,
    /// With their use.
    pub volumes: Option<Vec<Volume>>,
}

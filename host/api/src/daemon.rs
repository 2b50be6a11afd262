//! What this crate asks of the engine, so that its tests can answer in the engine's place.

use async_trait::async_trait;
use bollard_stubs::models::{
    ContainerCreateResponse, ContainerInspectResponse, ContainerPruneResponse, ContainerTopResponse,
    ContainerUpdateResponse, ContainerWaitResponse, EndpointSettings, EventMessage, ExecConfig,
    ExecInspectResponse, FilesystemChange, HistoryResponseItem, HostConfig, ImageDeleteResponseItem,
    ImageInspect, ImagePruneResponse, ImageSummary, Network, NetworkCreateRequest, NetworkCreateResponse,
    NetworkPruneResponse, SystemAuthResponse, SystemInfo, SystemVersion, Volume, VolumeCreateOptions,
    VolumeListResponse, VolumePruneResponse,
};
use futures_util::{FutureExt, future::BoxFuture, stream::BoxStream};
use sockerless_engine::{
    AttachRequest, Attachment, CommitContainer, ContainerStats, CreateRequest, DiskUsage, DiskUsageRequest,
    Engine, EventsRequest, ExecStart, Filters, ListRequest, Listing, LogsRequest, Outcome, OutputStream,
    ProgressStream, PullImage, PutArchive, RemoveRequest, Result, StatsRequest, WaitCondition,
};
use sockerless_ports::{
    link::{TerminalSize, request::PathStat},
    registry::{Archive, ImportRequest, Login},
};

/// The engine's surface; the meaning of each method is written down at [`Engine`].
#[async_trait]
#[allow(missing_docs)]
pub trait Daemon: Send + Sync + 'static {
    async fn create(&self, request: CreateRequest) -> Result<ContainerCreateResponse>;
    fn list(&self, request: &ListRequest) -> Result<Listing>;
    fn inspect(&self, reference: &str, size: bool) -> Result<ContainerInspectResponse>;
    async fn start(&self, reference: &str) -> Result<Outcome>;
    async fn stop(
        &self,
        reference: &str,
        signal: Option<&str>,
        timeout_seconds: Option<i64>,
    ) -> Result<Outcome>;
    async fn restart(
        &self,
        reference: &str,
        signal: Option<&str>,
        timeout_seconds: Option<i64>,
    ) -> Result<()>;
    async fn kill(&self, reference: &str, signal: Option<&str>) -> Result<()>;
    async fn pause(&self, reference: &str) -> Result<()>;
    async fn unpause(&self, reference: &str) -> Result<()>;
    async fn sync(&self, reference: &str) -> Result<()>;
    async fn update(&self, reference: &str, changes: HostConfig) -> Result<ContainerUpdateResponse>;
    async fn rename(&self, reference: &str, name: &str) -> Result<()>;
    async fn remove(&self, reference: &str, request: RemoveRequest) -> Result<()>;
    async fn prune(&self, filters: &Filters) -> Result<ContainerPruneResponse>;
    fn wait(
        &self,
        reference: &str,
        condition: WaitCondition,
    ) -> Result<BoxFuture<'static, ContainerWaitResponse>>;
    async fn logs(&self, reference: &str, request: LogsRequest) -> Result<OutputStream>;
    async fn attach(&self, reference: &str, request: AttachRequest) -> Result<Attachment>;
    async fn resize(&self, reference: &str, size: TerminalSize) -> Result<()>;
    async fn top(&self, reference: &str, ps_args: Option<&str>) -> Result<ContainerTopResponse>;
    async fn stats(
        &self,
        reference: &str,
        request: StatsRequest,
    ) -> Result<BoxStream<'static, ContainerStats>>;
    fn create_exec(&self, reference: &str, config: ExecConfig) -> Result<String>;
    async fn start_exec(&self, id: &str, request: ExecStart) -> Result<Option<Attachment>>;
    async fn resize_exec(&self, id: &str, size: TerminalSize) -> Result<()>;
    fn inspect_exec(&self, id: &str) -> Result<ExecInspectResponse>;

    async fn stat_path(&self, reference: &str, path: &str) -> Result<PathStat>;
    async fn read_path(&self, reference: &str, path: &str) -> Result<(PathStat, Archive)>;
    async fn write_path(&self, reference: &str, request: PutArchive, body: Archive) -> Result<()>;
    async fn changes(&self, reference: &str) -> Result<Vec<FilesystemChange>>;
    async fn export(&self, reference: &str) -> Result<Archive>;
    async fn commit_container(&self, request: CommitContainer) -> Result<String>;

    async fn create_network(&self, request: NetworkCreateRequest) -> Result<NetworkCreateResponse>;
    fn networks(&self, filters: &Filters) -> Result<Vec<Network>>;
    fn inspect_network(&self, reference: &str, scope: Option<&str>) -> Result<Network>;
    async fn connect_network(
        &self,
        reference: &str,
        container: &str,
        settings: EndpointSettings,
    ) -> Result<()>;
    async fn disconnect_network(&self, reference: &str, container: &str, force: bool) -> Result<()>;
    async fn remove_network(&self, reference: &str) -> Result<()>;
    async fn prune_networks(&self, filters: &Filters) -> Result<NetworkPruneResponse>;

    async fn create_volume(&self, request: VolumeCreateOptions) -> Result<Volume>;
    fn list_volumes(&self, filters: &Filters) -> Result<VolumeListResponse>;
    async fn inspect_volume(&self, name: &str) -> Result<Volume>;
    async fn remove_volume(&self, name: &str, force: bool) -> Result<()>;
    async fn prune_volumes(&self, filters: &Filters) -> Result<VolumePruneResponse>;

    async fn save_images(&self, names: Vec<String>) -> Result<Archive>;
    async fn pull_image(&self, request: PullImage) -> Result<ProgressStream>;
    async fn load_images(&self, archive: Archive) -> Result<ProgressStream>;
    async fn import_image(&self, archive: Archive, request: ImportRequest) -> Result<ProgressStream>;
    async fn images(&self, all: bool, filters: &Filters) -> Result<Vec<ImageSummary>>;
    async fn inspect_image(&self, reference: &str) -> Result<ImageInspect>;
    async fn image_history(&self, reference: &str) -> Result<Vec<HistoryResponseItem>>;
    async fn tag_image(&self, reference: &str, repository: &str, tag: &str) -> Result<()>;
    async fn remove_image(
        &self,
        reference: &str,
        force: bool,
        prune: bool,
    ) -> Result<Vec<ImageDeleteResponseItem>>;
    async fn prune_images(&self, filters: &Filters) -> Result<ImagePruneResponse>;

    async fn login(&self, login: Login) -> Result<SystemAuthResponse>;
    async fn info(&self) -> Result<SystemInfo>;
    async fn disk_usage(&self, request: DiskUsageRequest) -> Result<DiskUsage>;
    fn version(&self) -> SystemVersion;
    fn events(&self, request: EventsRequest) -> Result<BoxStream<'static, EventMessage>>;
}

#[async_trait]
impl Daemon for Engine {
    async fn create(&self, request: CreateRequest) -> Result<ContainerCreateResponse> {
        Engine::create(self, request).await
    }

    fn list(&self, request: &ListRequest) -> Result<Listing> {
        Engine::list(self, request)
    }

    fn inspect(&self, reference: &str, size: bool) -> Result<ContainerInspectResponse> {
        Engine::inspect(self, reference, size)
    }

    async fn start(&self, reference: &str) -> Result<Outcome> {
        Engine::start(self, reference).await
    }

    async fn stop(
        &self,
        reference: &str,
        signal: Option<&str>,
        timeout_seconds: Option<i64>,
    ) -> Result<Outcome> {
        Engine::stop(self, reference, signal, timeout_seconds).await
    }

    async fn restart(
        &self,
        reference: &str,
        signal: Option<&str>,
        timeout_seconds: Option<i64>,
    ) -> Result<()> {
        Engine::restart(self, reference, signal, timeout_seconds).await
    }

    async fn kill(&self, reference: &str, signal: Option<&str>) -> Result<()> {
        Engine::kill(self, reference, signal).await
    }

    async fn pause(&self, reference: &str) -> Result<()> {
        Engine::pause(self, reference).await
    }

    async fn unpause(&self, reference: &str) -> Result<()> {
        Engine::unpause(self, reference).await
    }

    async fn sync(&self, reference: &str) -> Result<()> {
        Engine::sync_volumes(self, reference).await?;
        Engine::sync_binds(self, reference).await
    }

    async fn update(&self, reference: &str, changes: HostConfig) -> Result<ContainerUpdateResponse> {
        Engine::update(self, reference, changes).await
    }

    async fn rename(&self, reference: &str, name: &str) -> Result<()> {
        Engine::rename(self, reference, name).await
    }

    async fn remove(&self, reference: &str, request: RemoveRequest) -> Result<()> {
        Engine::remove(self, reference, request).await
    }

    async fn prune(&self, filters: &Filters) -> Result<ContainerPruneResponse> {
        Engine::prune(self, filters).await
    }

    fn wait(
        &self,
        reference: &str,
        condition: WaitCondition,
    ) -> Result<BoxFuture<'static, ContainerWaitResponse>> {
        Engine::wait(self, reference, condition).map(FutureExt::boxed)
    }

    async fn logs(&self, reference: &str, request: LogsRequest) -> Result<OutputStream> {
        Engine::logs(self, reference, request).await
    }

    async fn attach(&self, reference: &str, request: AttachRequest) -> Result<Attachment> {
        Engine::attach(self, reference, request).await
    }

    async fn resize(&self, reference: &str, size: TerminalSize) -> Result<()> {
        Engine::resize(self, reference, size).await
    }

    async fn top(&self, reference: &str, ps_args: Option<&str>) -> Result<ContainerTopResponse> {
        Engine::top(self, reference, ps_args).await
    }

    async fn stats(
        &self,
        reference: &str,
        request: StatsRequest,
    ) -> Result<BoxStream<'static, ContainerStats>> {
        Engine::stats(self, reference, request).await
    }

    fn create_exec(&self, reference: &str, config: ExecConfig) -> Result<String> {
        Engine::create_exec(self, reference, config)
    }

    async fn start_exec(&self, id: &str, request: ExecStart) -> Result<Option<Attachment>> {
        Engine::start_exec(self, id, request).await
    }

    async fn resize_exec(&self, id: &str, size: TerminalSize) -> Result<()> {
        Engine::resize_exec(self, id, size).await
    }

    fn inspect_exec(&self, id: &str) -> Result<ExecInspectResponse> {
        Engine::inspect_exec(self, id)
    }

    async fn stat_path(&self, reference: &str, path: &str) -> Result<PathStat> {
        Engine::stat_path(self, reference, path).await
    }

    async fn read_path(&self, reference: &str, path: &str) -> Result<(PathStat, Archive)> {
        Engine::read_path(self, reference, path).await
    }

    async fn write_path(&self, reference: &str, request: PutArchive, body: Archive) -> Result<()> {
        Engine::write_path(self, reference, request, body).await
    }

    async fn changes(&self, reference: &str) -> Result<Vec<FilesystemChange>> {
        Engine::changes(self, reference).await
    }

    async fn export(&self, reference: &str) -> Result<Archive> {
        Engine::export(self, reference).await
    }

    async fn commit_container(&self, request: CommitContainer) -> Result<String> {
        Engine::commit_container(self, request).await
    }

    async fn create_volume(&self, request: VolumeCreateOptions) -> Result<Volume> {
        Engine::create_volume(self, request).await
    }

    fn list_volumes(&self, filters: &Filters) -> Result<VolumeListResponse> {
        Engine::list_volumes(self, filters)
    }

    async fn inspect_volume(&self, name: &str) -> Result<Volume> {
        Engine::inspect_volume(self, name).await
    }

    async fn remove_volume(&self, name: &str, force: bool) -> Result<()> {
        Engine::remove_volume(self, name, force).await
    }

    async fn prune_volumes(&self, filters: &Filters) -> Result<VolumePruneResponse> {
        Engine::prune_volumes(self, filters).await
    }

    async fn create_network(&self, request: NetworkCreateRequest) -> Result<NetworkCreateResponse> {
        Engine::create_network(self, request).await
    }

    fn networks(&self, filters: &Filters) -> Result<Vec<Network>> {
        Engine::networks(self, filters)
    }

    fn inspect_network(&self, reference: &str, scope: Option<&str>) -> Result<Network> {
        Engine::inspect_network(self, reference, scope)
    }

    async fn connect_network(
        &self,
        reference: &str,
        container: &str,
        settings: EndpointSettings,
    ) -> Result<()> {
        Engine::connect_network(self, reference, container, settings).await
    }

    async fn disconnect_network(&self, reference: &str, container: &str, force: bool) -> Result<()> {
        Engine::disconnect_network(self, reference, container, force).await
    }

    async fn remove_network(&self, reference: &str) -> Result<()> {
        Engine::remove_network(self, reference).await
    }

    async fn prune_networks(&self, filters: &Filters) -> Result<NetworkPruneResponse> {
        Engine::prune_networks(self, filters).await
    }

    async fn save_images(&self, names: Vec<String>) -> Result<Archive> {
        Engine::save_images(self, names).await
    }

    async fn pull_image(&self, request: PullImage) -> Result<ProgressStream> {
        Engine::pull_image(self, request).await
    }

    async fn load_images(&self, archive: Archive) -> Result<ProgressStream> {
        Engine::load_images(self, archive).await
    }

    async fn import_image(&self, archive: Archive, request: ImportRequest) -> Result<ProgressStream> {
        Engine::import_image(self, archive, request).await
    }

    async fn images(&self, all: bool, filters: &Filters) -> Result<Vec<ImageSummary>> {
        Engine::images(self, all, filters).await
    }

    async fn inspect_image(&self, reference: &str) -> Result<ImageInspect> {
        Engine::inspect_image(self, reference).await
    }

    async fn image_history(&self, reference: &str) -> Result<Vec<HistoryResponseItem>> {
        Engine::image_history(self, reference).await
    }

    async fn tag_image(&self, reference: &str, repository: &str, tag: &str) -> Result<()> {
        Engine::tag_image(self, reference, repository, tag).await
    }

    async fn remove_image(
        &self,
        reference: &str,
        force: bool,
        prune: bool,
    ) -> Result<Vec<ImageDeleteResponseItem>> {
        Engine::remove_image(self, reference, force, prune).await
    }

    async fn prune_images(&self, filters: &Filters) -> Result<ImagePruneResponse> {
        Engine::prune_images(self, filters).await
    }

    async fn login(&self, login: Login) -> Result<SystemAuthResponse> {
        Engine::login(self, login).await
    }

    async fn info(&self) -> Result<SystemInfo> {
        Engine::info(self).await
    }

    async fn disk_usage(&self, request: DiskUsageRequest) -> Result<DiskUsage> {
        Engine::disk_usage(self, request).await
    }

    fn version(&self) -> SystemVersion {
        Engine::version(self)
    }

    fn events(&self, request: EventsRequest) -> Result<BoxStream<'static, EventMessage>> {
        Engine::events(self, request)
    }
}

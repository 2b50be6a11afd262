//! A daemon that remembers what it was asked and does what the test says.

use std::{collections::HashMap, sync::Mutex};

use async_trait::async_trait;
use bollard_stubs::models::*;
use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sockerless_api::Daemon;
use sockerless_engine::*;
use sockerless_ports::{
    link::{Output, TerminalSize, request::PathStat},
    registry::{Archive, ImportRequest, Login, ProgressEvent},
};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnboundedReceiverStream;

/// What a container read from a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Stdin {
    Bytes(Bytes),
    Closed,
}

#[derive(Default)]
struct Container {
    tty: bool,
    output: Option<mpsc::UnboundedSender<Result<OutputChunk>>>,
    stdin: Option<mpsc::UnboundedReceiver<Stdin>>,
    waiting: Vec<oneshot::Sender<ContainerWaitResponse>>,
}

#[derive(Default)]
pub struct Fake {
    containers: Mutex<HashMap<String, Container>>,
    calls: Mutex<Vec<String>>,
    pub events: Mutex<Option<mpsc::UnboundedReceiver<EventMessage>>>,
    pub progress: Mutex<Vec<Result<ProgressEvent>>>,
    pub refusal: Mutex<Option<Error>>,
    /// The next archive is not looked at.
    early: Mutex<bool>,
    /// Of the next archive.
    pub pieces: Mutex<Vec<std::io::Result<Bytes>>>,
}

impl Fake {
    /// What was asked so far; forgets it.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn note(&self, call: String) -> Result<()> {
        self.calls.lock().unwrap().push(call);
        self.refusal.lock().unwrap().take().map_or(Ok(()), Err)
    }

    /// The next archive is refused before it was read.
    pub fn refuse_early(&self) {
        *self.early.lock().unwrap() = true;
    }

    /// What `pieces` says, each after the one before it has gone out.
    fn archive(&self) -> Archive {
        let pieces = std::mem::take(&mut *self.pieces.lock().unwrap());
        let later = |piece| async {
            tokio::task::yield_now().await;
            piece
        };
        stream::iter(pieces).then(later).boxed()
    }

    pub fn add(&self, id: &str, tty: bool) {
        self.containers.lock().unwrap().insert(id.into(), Container { tty, ..Container::default() });
    }

    fn with<T>(&self, id: &str, act: impl FnOnce(&mut Container) -> T) -> Result<T> {
        let mut containers = self.containers.lock().unwrap();
        let container = containers.get_mut(id);
        container.map(act).ok_or_else(|| Error::new(ErrorKind::NotFound, format!("No such container: {id}")))
    }

    /// The container writes.
    pub fn write(&self, id: &str, output: Output, bytes: &'static [u8]) {
        let chunk = OutputChunk { output, bytes: Bytes::from_static(bytes) };
        self.with(id, |c| c.output.as_ref().unwrap().send(Ok(chunk)).unwrap()).unwrap();
    }

    /// The container ends: its streams first, then those who wait for it.
    pub fn close_output(&self, id: &str) {
        self.with(id, |c| c.output = None).unwrap();
    }

    pub fn exit(&self, id: &str, code: i64) {
        let waiting = self.with(id, |c| std::mem::take(&mut c.waiting)).unwrap();
        for waiter in waiting {
            let _ = waiter.send(ContainerWaitResponse { status_code: code, error: None });
        }
    }

    pub async fn stdin(&self, id: &str) -> Stdin {
        let mut stdin = self.with(id, |c| c.stdin.take().unwrap()).unwrap();
        let read = stdin.recv().await.unwrap();
        self.with(id, |c| c.stdin = Some(stdin)).unwrap();
        read
    }

    /// The process reads no more.
    pub fn close_stdin(&self, id: &str) {
        self.with(id, |c| c.stdin = None).unwrap();
    }

    fn open(&self, id: &str) -> Result<OutputStream> {
        self.with(id, |c| {
            let (sender, receiver) = mpsc::unbounded_channel();
            c.output = Some(sender);
            OutputStream { tty: c.tty, chunks: UnboundedReceiverStream::new(receiver).boxed() }
        })
    }

    fn progress_stream(&self) -> ProgressStream {
        stream::iter(std::mem::take(&mut *self.progress.lock().unwrap())).boxed()
    }
}

struct Sink(mpsc::UnboundedSender<Stdin>);

#[async_trait]
impl Input for Sink {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.0.send(Stdin::Bytes(bytes)).map_err(|_| Error::new(ErrorKind::Conflict, "closed"))
    }

    async fn close(&mut self) -> Result<()> {
        self.0.send(Stdin::Closed).map_err(|_| Error::new(ErrorKind::Conflict, "closed"))
    }
}

#[async_trait]
impl Daemon for Fake {
    async fn create(&self, request: CreateRequest) -> Result<ContainerCreateResponse> {
        let id = request.name.clone().unwrap_or_else(|| "c0ffee".into());
        self.note(format!("create {request:?}"))?;
        self.add(&id, request.config.tty == Some(true));
        Ok(ContainerCreateResponse { id, warnings: Vec::new() })
    }

    fn list(&self, request: &ListRequest) -> Result<Listing> {
        self.note(format!("list {request:?}"))?;
        let containers = self.containers.lock().unwrap();
        let all: Vec<_> = containers
            .keys()
            .map(|id| ContainerSummary { id: Some(id.clone()), ..Default::default() })
            .collect();
        Ok(Listing { json: serde_json::to_vec(&all).unwrap() })
    }

    fn inspect(&self, reference: &str, size: bool) -> Result<ContainerInspectResponse> {
        self.note(format!("inspect {reference} {size}"))?;
        self.with(reference, |_| ContainerInspectResponse {
            id: Some(reference.into()),
            ..Default::default()
        })
    }

    async fn start(&self, reference: &str) -> Result<Outcome> {
        self.note(format!("start {reference}"))?;
        self.with(reference, |_| Outcome::Done)
    }

    async fn stop(&self, reference: &str, signal: Option<&str>, timeout: Option<i64>) -> Result<Outcome> {
        self.note(format!("stop {reference} {signal:?} {timeout:?}"))?;
        self.with(reference, |_| Outcome::NotModified)
    }

    async fn restart(&self, reference: &str, signal: Option<&str>, timeout: Option<i64>) -> Result<()> {
        self.note(format!("restart {reference} {signal:?} {timeout:?}"))
    }

    async fn kill(&self, reference: &str, signal: Option<&str>) -> Result<()> {
        assert_ne!(reference, "panic");
        self.note(format!("kill {reference} {signal:?}"))
    }

    async fn pause(&self, reference: &str) -> Result<()> {
        self.note(format!("pause {reference}"))
    }

    async fn unpause(&self, reference: &str) -> Result<()> {
        self.note(format!("unpause {reference}"))
    }

    async fn sync(&self, reference: &str) -> Result<()> {
        self.note(format!("sync {reference}"))
    }

    async fn update(&self, reference: &str, changes: HostConfig) -> Result<ContainerUpdateResponse> {
        let changes = serde_json::to_string(&changes).unwrap();
        self.note(format!("update {reference} {changes}"))?;
        Ok(ContainerUpdateResponse { warnings: Some(vec!["later".into()]) })
    }

    async fn rename(&self, reference: &str, name: &str) -> Result<()> {
        self.note(format!("rename {reference} {name}"))
    }

    async fn remove(&self, reference: &str, request: RemoveRequest) -> Result<()> {
        self.note(format!("remove {reference} {request:?}"))
    }

    async fn prune(&self, filters: &Filters) -> Result<ContainerPruneResponse> {
        self.note(format!("prune {filters:?}"))?;
        Ok(ContainerPruneResponse { containers_deleted: None, space_reclaimed: Some(0) })
    }

    fn wait(
        &self,
        reference: &str,
        condition: WaitCondition,
    ) -> Result<BoxFuture<'static, ContainerWaitResponse>> {
        self.note(format!("wait {reference} {condition:?}"))?;
        let (sender, receiver) = oneshot::channel();
        self.with(reference, |c| c.waiting.push(sender))?;
        Ok(receiver.map(|exit| exit.unwrap()).boxed())
    }

    async fn logs(&self, reference: &str, request: LogsRequest) -> Result<OutputStream> {
        self.note(format!("logs {reference} {request:?}"))?;
        self.open(reference)
    }

    async fn attach(&self, reference: &str, request: AttachRequest) -> Result<Attachment> {
        self.note(format!("attach {reference} {request:?}"))?;
        let output = self.open(reference)?;
        let input = self.with(reference, |c| {
            request.stdin.then(|| {
                let (sender, receiver) = mpsc::unbounded_channel();
                c.stdin = Some(receiver);
                Box::new(Sink(sender)) as Box<dyn Input>
            })
        })?;
        Ok(Attachment { output, input })
    }

    async fn resize(&self, reference: &str, size: TerminalSize) -> Result<()> {
        self.note(format!("resize {reference} {}x{}", size.columns, size.rows))
    }

    async fn top(&self, reference: &str, ps_args: Option<&str>) -> Result<ContainerTopResponse> {
        self.note(format!("top {reference} {ps_args:?}"))?;
        let titles = Some(vec!["PID".into()]);
        self.with(reference, |_| ContainerTopResponse { titles, processes: None })
    }

    async fn stats(
        &self,
        reference: &str,
        request: StatsRequest,
    ) -> Result<BoxStream<'static, ContainerStats>> {
        self.note(format!("stats {reference} {request:?}"))?;
        self.with(reference, |_| stream::empty().boxed())
    }

    fn create_exec(&self, reference: &str, config: ExecConfig) -> Result<String> {
        self.note(format!("create-exec {reference} {config:?}"))?;
        self.with(reference, |_| format!("exec-of-{reference}"))
    }

    async fn start_exec(&self, id: &str, request: ExecStart) -> Result<Option<Attachment>> {
        self.note(format!("start-exec {id} {request:?}"))?;
        if request.detach {
            return Ok(None);
        }
        let reference = id.strip_prefix("exec-of-").unwrap_or(id);
        let output = OutputStream { tty: request.tty, ..self.open(reference)? };
        let input = self.with(reference, |c| {
            let (sender, receiver) = mpsc::unbounded_channel();
            c.stdin = Some(receiver);
            Box::new(Sink(sender)) as Box<dyn Input>
        })?;
        Ok(Some(Attachment { output, input: Some(input) }))
    }

    async fn resize_exec(&self, id: &str, size: TerminalSize) -> Result<()> {
        self.note(format!("resize-exec {id} {}x{}", size.columns, size.rows))
    }

    fn inspect_exec(&self, id: &str) -> Result<ExecInspectResponse> {
        self.note(format!("inspect-exec {id}"))?;
        Ok(ExecInspectResponse { id: Some(id.into()), running: Some(true), ..Default::default() })
    }

    async fn stat_path(&self, reference: &str, path: &str) -> Result<PathStat> {
        self.note(format!("stat {reference} {path}"))?;
        Ok(PathStat {
            name: "f".into(),
            size: 5,
            mode: 0o100_644,
            modified: 1_500_000_000,
            link: String::new(),
        })
    }

    async fn read_path(&self, reference: &str, path: &str) -> Result<(PathStat, Archive)> {
        let stat = self.stat_path(reference, path).await?;
        Ok((stat, self.archive()))
    }

    async fn write_path(&self, reference: &str, request: PutArchive, body: Archive) -> Result<()> {
        if std::mem::take(&mut *self.early.lock().unwrap()) {
            return self.note(format!("write {reference}"));
        }
        let size: usize = body.map(|piece| piece.unwrap().len()).collect::<Vec<_>>().await.into_iter().sum();
        self.note(format!("write {reference} {size} {request:?}"))
    }

    async fn changes(&self, reference: &str) -> Result<Vec<FilesystemChange>> {
        self.note(format!("changes {reference}"))?;
        let change = |path: &str, kind| FilesystemChange { path: path.into(), kind };
        Ok(match reference {
            "same" => vec![],
            _ => vec![change("/a", ChangeType::_1), change("/b", ChangeType::_2)],
        })
    }

    async fn export(&self, reference: &str) -> Result<Archive> {
        self.note(format!("export {reference}"))?;
        Ok(self.archive())
    }

    async fn commit_container(&self, request: CommitContainer) -> Result<String> {
        self.note(format!("commit {request:?}"))?;
        Ok("sha256:00".into())
    }

    async fn create_volume(&self, request: VolumeCreateOptions) -> Result<Volume> {
        self.note(format!("create-volume {}", serde_json::to_string(&request).unwrap()))?;
        Ok(Volume { name: "data".into(), driver: "local".into(), ..Volume::default() })
    }

    fn list_volumes(&self, filters: &Filters) -> Result<VolumeListResponse> {
        self.note(format!("list-volumes {filters:?}"))?;
        Ok(VolumeListResponse { volumes: Some(vec![]), warnings: None })
    }

    async fn inspect_volume(&self, name: &str) -> Result<Volume> {
        self.note(format!("inspect-volume {name}"))?;
        Ok(Volume { name: name.into(), ..Volume::default() })
    }

    async fn remove_volume(&self, name: &str, force: bool) -> Result<()> {
        self.note(format!("remove-volume {name} {force}"))
    }

    async fn prune_volumes(&self, filters: &Filters) -> Result<VolumePruneResponse> {
        self.note(format!("prune-volumes {filters:?}"))?;
        Ok(VolumePruneResponse { volumes_deleted: Some(vec![]), space_reclaimed: Some(0) })
    }

    async fn create_network(&self, request: NetworkCreateRequest) -> Result<NetworkCreateResponse> {
        self.note(format!("create-network {}", serde_json::to_string(&request).unwrap()))?;
        Ok(NetworkCreateResponse { id: "feed".into(), warning: String::new() })
    }

    fn networks(&self, filters: &Filters) -> Result<Vec<Network>> {
        self.note(format!("networks {filters:?}"))?;
        Ok(vec![Network { name: Some("n".into()), ipam: Some(Ipam::default()), ..Network::default() }])
    }

    fn inspect_network(&self, reference: &str, scope: Option<&str>) -> Result<Network> {
        self.note(format!("inspect-network {reference} {scope:?}"))?;
        Ok(Network { name: Some(reference.into()), ipam: Some(Ipam::default()), ..Network::default() })
    }

    async fn connect_network(
        &self,
        reference: &str,
        container: &str,
        settings: EndpointSettings,
    ) -> Result<()> {
        let settings = serde_json::to_string(&settings).unwrap();
        self.note(format!("connect {reference} {container} {settings}"))
    }

    async fn disconnect_network(&self, reference: &str, container: &str, force: bool) -> Result<()> {
        self.note(format!("disconnect {reference} {container} {force}"))
    }

    async fn remove_network(&self, reference: &str) -> Result<()> {
        self.note(format!("remove-network {reference}"))
    }

    async fn prune_networks(&self, filters: &Filters) -> Result<NetworkPruneResponse> {
        self.note(format!("prune-networks {filters:?}"))?;
        Ok(NetworkPruneResponse { networks_deleted: None })
    }

    async fn save_images(&self, names: Vec<String>) -> Result<Archive> {
        self.note(format!("save {names:?}"))?;
        Ok(self.archive())
    }

    async fn pull_image(&self, request: PullImage) -> Result<ProgressStream> {
        self.note(format!("pull {request:?}"))?;
        Ok(self.progress_stream())
    }

    async fn load_images(&self, archive: Archive) -> Result<ProgressStream> {
        let size: usize =
            archive.map(|piece| piece.unwrap().len()).collect::<Vec<_>>().await.into_iter().sum();
        self.note(format!("load {size}"))?;
        Ok(self.progress_stream())
    }

    async fn import_image(&self, archive: Archive, request: ImportRequest) -> Result<ProgressStream> {
        let size: usize =
            archive.map(|piece| piece.unwrap().len()).collect::<Vec<_>>().await.into_iter().sum();
        self.note(format!("import {size} {request:?}"))?;
        Ok(self.progress_stream())
    }

    async fn images(&self, all: bool, filters: &Filters) -> Result<Vec<ImageSummary>> {
        self.note(format!("images {all} {filters:?}"))?;
        Ok(Vec::new())
    }

    async fn inspect_image(&self, reference: &str) -> Result<ImageInspect> {
        self.note(format!("inspect-image {reference}"))?;
        Ok(ImageInspect::default())
    }

    async fn image_history(&self, reference: &str) -> Result<Vec<HistoryResponseItem>> {
        self.note(format!("history {reference}"))?;
        Ok(Vec::new())
    }

    async fn tag_image(&self, reference: &str, repository: &str, tag: &str) -> Result<()> {
        self.note(format!("tag {reference} {repository} {tag}"))
    }

    async fn remove_image(
        &self,
        reference: &str,
        force: bool,
        prune: bool,
    ) -> Result<Vec<ImageDeleteResponseItem>> {
        self.note(format!("remove-image {reference} {force} {prune}"))?;
        Ok(vec![ImageDeleteResponseItem { untagged: Some(reference.into()), deleted: None }])
    }

    async fn prune_images(&self, filters: &Filters) -> Result<ImagePruneResponse> {
        self.note(format!("prune-images {filters:?}"))?;
        Ok(ImagePruneResponse::default())
    }

    async fn login(&self, login: Login) -> Result<SystemAuthResponse> {
        self.note(format!("login {} {} {}", login.username, login.password, login.serveraddress))?;
        let identity_token = Some(login.identitytoken);
        Ok(SystemAuthResponse { status: "Login Succeeded".into(), identity_token })
    }

    async fn info(&self) -> Result<SystemInfo> {
        self.note("info".into())?;
        Ok(SystemInfo::default())
    }

    async fn disk_usage(&self, request: DiskUsageRequest) -> Result<DiskUsage> {
        self.note(format!(
            "disk images={} containers={} volumes={}",
            request.images, request.containers, request.volumes
        ))?;
        let listing = || Listing { json: br#"[{"Id":"abc","SizeRootFs":5}]"#.to_vec() };
        Ok(DiskUsage {
            layers_size: 7,
            images: request.images.then(Vec::new),
            containers: request.containers.then(listing),
            volumes: request.volumes.then(Vec::new),
        })
    }

    fn version(&self) -> SystemVersion {
        SystemVersion { api_version: Some("1.51".into()), ..Default::default() }
    }

    fn events(&self, request: EventsRequest) -> Result<BoxStream<'static, EventMessage>> {
        self.note(format!("events {request:?}"))?;
        Ok(match self.events.lock().unwrap().take() {
            Some(events) => UnboundedReceiverStream::new(events).boxed(),
            None => stream::empty().boxed(),
        })
    }
}

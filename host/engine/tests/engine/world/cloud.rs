use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use async_trait::async_trait;
use sockerless_ports::{backend::*, link::RunId};
use tokio::time::Instant;

use super::{FakeLink, agent::Agent};

/// A cloud in memory that starts agents.
pub struct FakeCloud {
    me: Weak<Self>,
    link: Arc<FakeLink>,
    features: Features,
    state: Mutex<State>,
    pub zones: super::dns::FakeZones,
}

#[derive(Default)]
struct State {
    jobs: BTreeMap<String, Job>,
    /// Names of all jobs that were ever made, and how often.
    made: HashMap<String, u32>,
    blobs: HashMap<String, u64>,
    /// With the number of their files, each of 1,000 bytes.
    volumes: BTreeMap<String, (Volume, u64)>,
    puts: u32,
    /// Errors to give, by operation, in order.
    errors: HashMap<&'static str, Vec<Error>>,
    /// The same, after one call that does not.
    later: HashMap<&'static str, Vec<Error>>,
    /// Operations that fail although they have happened.
    lost_answers: HashSet<&'static str>,
    /// New jobs stay in this phase, and no agent comes.
    stuck: Option<Phase>,
    /// A status call with this job in it fails.
    poisoned: Option<String>,
    stops: Vec<String>,
    /// Where images of the host's own go.
    repository: Option<String>,
    /// How volumes are shown.
    driver: VolumeDriver,
    /// Where a container's process runs: job and container.
    processes: HashSet<(String, String)>,
    /// How often a container's process began while another one of the same container ran elsewhere.
    clashes: u32,
    /// With the time from which on each line can be read.
    logs: Vec<(Instant, CloudLogEntry)>,
    /// How late lines may be, as the backend says.
    log_lag: Duration,
    /// How often a log was read.
    log_reads: u32,
}

struct Job {
    spec: JobSpec,
    phase: Phase,
    exit_code: Option<i32>,
    message: String,
    started: bool,
}

pub fn everything() -> Features {
    Features {
        sidecars: true,
        start_on_create: true,
        run_as_user: true,
        hostname: true,
        memory_volumes: true,
        ..Features::default()
    }
}

impl FakeCloud {
    pub fn new(link: Arc<FakeLink>, features: Features) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            link,
            features,
            state: Mutex::default(),
            zones: Default::default(),
        })
    }

    pub fn jobs(&self) -> usize {
        self.state.lock().unwrap().jobs.len()
    }

    /// How often each job was made.
    pub fn made(&self) -> HashMap<String, u32> {
        self.state.lock().unwrap().made.clone()
    }

    pub fn puts(&self) -> u32 {
        self.state.lock().unwrap().puts
    }

    pub fn stops(&self) -> usize {
        self.state.lock().unwrap().stops.len()
    }

    pub fn specs(&self) -> Vec<JobSpec> {
        self.state.lock().unwrap().jobs.values().map(|job| job.spec.clone()).collect()
    }

    /// There is a repository from now on.
    pub fn set_repository(&self, repository: &str) {
        self.state.lock().unwrap().repository = Some(repository.into());
    }

    /// Volumes are shown so from now on.
    pub fn show_volumes(&self, driver: &str, mountpoint: &str) {
        self.state.lock().unwrap().driver =
            VolumeDriver { name: driver.into(), mountpoint: mountpoint.into() };
    }

    pub fn volume(&self, name: &str) -> Option<Volume> {
        self.state.lock().unwrap().volumes.get(name).map(|(volume, _)| volume.clone())
    }

    /// A volume has so many files from now on.
    pub fn fill(&self, name: &str, files: u64) {
        self.state.lock().unwrap().volumes.get_mut(name).unwrap().1 = files;
    }

    pub fn fail(&self, operation: &'static str, code: ErrorCode, message: &str) {
        self.fail_with(operation, Error::new(code, message));
    }

    pub fn fail_with(&self, operation: &'static str, error: Error) {
        self.state.lock().unwrap().errors.entry(operation).or_default().push(error);
    }

    /// Gives no more errors for an operation, and says how many were not given.
    pub fn heal(&self, operation: &'static str) -> usize {
        self.state.lock().unwrap().errors.remove(operation).map_or(0, |errors| errors.len())
    }

    /// From the second call on.
    pub fn fail_later(&self, operation: &'static str, code: ErrorCode, message: &str) {
        let mut state = self.state.lock().unwrap();
        state.later.entry(operation).or_default().push(Error::new(code, message));
    }

    /// The next call happens, but its answer gets lost.
    pub fn lose_answer(&self, operation: &'static str) {
        self.state.lock().unwrap().lost_answers.insert(operation);
    }

    pub fn stick(&self, phase: Option<Phase>) {
        self.state.lock().unwrap().stuck = phase;
    }

    /// Each status call with this job in it fails from now on.
    pub fn poison(&self, job: Option<String>) {
        self.state.lock().unwrap().poisoned = job;
    }

    pub fn log(&self, line: &str, stderr: bool) {
        self.log_late(line, stderr, Duration::ZERO);
    }

    /// A line that can be read after a while only.
    pub fn log_late(&self, line: &str, stderr: bool, late: Duration) {
        let entry = CloudLogEntry { time: 0, stderr, line: line.as_bytes().to_vec() };
        self.state.lock().unwrap().logs.push((Instant::now() + late, entry));
    }

    /// The backend says so from now on.
    pub fn lag(&self, lag: Duration) {
        self.state.lock().unwrap().log_lag = lag;
    }

    pub fn log_reads(&self) -> u32 {
        self.state.lock().unwrap().log_reads
    }

    /// All jobs end so.
    pub fn set(&self, phase: Phase, exit_code: Option<i32>, message: &str) {
        for job in self.state.lock().unwrap().jobs.values_mut() {
            (job.phase, job.exit_code, job.message) = (phase, exit_code, message.to_owned());
        }
    }

    /// The main container has ended.
    pub fn end(&self, job: &str, code: i32) {
        if let Some(job) = self.state.lock().unwrap().jobs.get_mut(job) {
            job.phase = if code == 0 { Phase::Succeeded } else { Phase::Failed };
            job.exit_code = Some(code);
        }
    }

    /// A process of a container begins in a job.
    pub fn begins(&self, job: &str, container: &str) {
        let mut state = self.state.lock().unwrap();
        if state.processes.iter().any(|(_, other)| other == container) {
            state.clashes += 1;
        }
        state.processes.insert((job.to_owned(), container.to_owned()));
    }

    pub fn ends(&self, job: &str, container: &str) {
        self.state.lock().unwrap().processes.remove(&(job.to_owned(), container.to_owned()));
    }

    /// Whether a process of a container runs.
    pub fn runs(&self, container: &str) -> bool {
        self.state.lock().unwrap().processes.iter().any(|(_, other)| other == container)
    }

    /// Waits until a job is ended by the cloud, or gone.
    pub async fn ended(&self, job: &str) {
        let alive = || self.state.lock().unwrap().jobs.get(job).is_some_and(|job| !job.phase.is_final());
        while alive() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// How often two processes of one container ran at once.
    pub fn clashes(&self) -> u32 {
        self.state.lock().unwrap().clashes
    }

    /// A job that no store knows of.
    pub fn plant(&self, name: &str, owner: &str) {
        let spec = JobSpec { name: name.into(), owner: owner.into(), ..blank() };
        let job = Job { spec, phase: Phase::Running, exit_code: None, message: String::new(), started: true };
        self.state.lock().unwrap().jobs.insert(name.into(), job);
    }

    pub(super) fn check(&self, operation: &'static str) -> Result<()> {
        let mut state = self.state.lock().unwrap();
        match state.errors.get_mut(operation) {
            Some(errors) if !errors.is_empty() => Err(errors.remove(0)),
            _ => {
                if let Some(later) = state.later.remove(operation) {
                    state.errors.insert(operation, later);
                }
                Ok(())
            }
        }
    }

    pub(super) fn answer<T>(&self, operation: &'static str, value: T) -> Result<T> {
        if self.state.lock().unwrap().lost_answers.remove(operation) {
            return Err(Error::new(ErrorCode::DeadlineExceeded, "no answer in time"));
        }
        Ok(value)
    }

    fn go(&self, name: &str) {
        let mut state = self.state.lock().unwrap();
        let stuck = state.stuck;
        let job = state.jobs.get_mut(name).unwrap();
        if job.started {
            return;
        }
        job.started = true;
        job.phase = stuck.unwrap_or(Phase::Running);
        for (index, container) in job.spec.containers.iter().enumerate() {
            let variable = |name: &str| {
                container.env.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
            };
            let (Some(run), None) = (variable("SOCKERLESS_RUN"), stuck) else { return };
            assert_eq!(container.command, ["/.sockerless/sockerless-agent"]);
            let (container, generation) = run.split_once('.').unwrap();
            let agent = Agent {
                link: Arc::clone(&self.link),
                cloud: self.me.upgrade().unwrap(),
                job: name.to_owned(),
                main: index == 0,
                run: RunId { container: container.into(), generation: generation.parse().unwrap() },
                ticket: hex::decode(variable("SOCKERLESS_TICKET").unwrap()).unwrap().try_into().unwrap(),
            };
            tokio::spawn(agent.live());
        }
    }
}

fn blank() -> JobSpec {
    JobSpec {
        name: String::new(),
        owner: String::new(),
        kind: WorkloadKind::RunToCompletion,
        init: vec![],
        containers: vec![],
        volumes: vec![],
        labels: vec![],
        timeout_seconds: None,
        max_retries: 0,
        all_traffic: false,
        zones: vec![],
        accelerator: None,
        expires: None,
        start: true,
    }
}

fn handle(name: &str, started: bool) -> JobHandle {
    JobHandle { name: name.into(), state: format!("state of {name}"), started }
}

fn status(name: &str, job: &Job) -> JobStatus {
    JobStatus {
        handle: handle(name, job.started),
        phase: job.phase,
        exit_code: job.exit_code,
        term_signal: None,
        reason: String::new(),
        message: job.message.clone(),
        created: None,
        started: None,
        finished: None,
        poll_after_ms: Some(200),
    }
}

#[async_trait]
impl Jobs for FakeCloud {
    async fn create(&self, spec: &JobSpec) -> Result<JobHandle> {
        tokio::task::yield_now().await;
        self.check("create")?;
        assert!(
            spec.name.len() <= 49
                && spec.max_retries == 0
                && spec.labels.contains(&("managed-by".into(), "sockerless".into()))
        );
        {
            let mut state = self.state.lock().unwrap();
            if let Some(job) = state.jobs.get(&spec.name) {
                if job.spec != *spec {
                    return Err(Error::new(ErrorCode::AlreadyExists, "another job has the name"));
                }
            } else {
                *state.made.entry(spec.name.clone()).or_default() += 1;
                let job = Job {
                    spec: spec.clone(),
                    phase: Phase::Created,
                    exit_code: None,
                    message: String::new(),
                    started: false,
                };
                state.jobs.insert(spec.name.clone(), job);
            }
        }
        if spec.start && self.features.start_on_create {
            self.go(&spec.name);
        }
        self.answer("create", handle(&spec.name, self.features.start_on_create))
    }

    async fn start(&self, job: &JobHandle) -> Result<JobHandle> {
        self.check("start")?;
        self.go(&job.name);
        self.answer("start", handle(&job.name, true))
    }

    async fn status(&self, handles: &[JobHandle]) -> Result<Vec<JobStatus>> {
        self.check("status")?;
        let state = self.state.lock().unwrap();
        if handles.iter().any(|handle| Some(&handle.name) == state.poisoned.as_ref()) {
            return Err(Error::new(ErrorCode::Internal, "the plugin has ended by itself"));
        }
        let of = |asked: &JobHandle| match state.jobs.get(&asked.name) {
            Some(job) => status(&asked.name, job),
            None => JobStatus {
                phase: Phase::Absent,
                handle: asked.clone(),
                exit_code: None,
                term_signal: None,
                reason: String::new(),
                message: String::new(),
                created: None,
                started: None,
                finished: None,
                poll_after_ms: None,
            },
        };
        Ok(handles.iter().map(of).collect())
    }

    async fn stop(&self, job: &JobHandle, _: u32) -> Result<JobHandle> {
        self.check("stop")?;
        let mut state = self.state.lock().unwrap();
        state.stops.push(job.name.clone());
        state.processes.retain(|(other, _)| *other != job.name);
        if let Some(job) = state.jobs.get_mut(&job.name).filter(|job| !job.phase.is_final()) {
            job.phase = Phase::Cancelled;
        }
        Ok(job.clone())
    }

    async fn delete(&self, job: &JobHandle) -> Result<()> {
        self.check("delete")?;
        let mut state = self.state.lock().unwrap();
        state.jobs.remove(&job.name);
        state.processes.retain(|(other, _)| *other != job.name);
        drop(state);
        self.answer("delete", ())
    }

    async fn list(&self, owner: &str, _: Option<&str>) -> Result<Page<(JobStatus, Labels)>> {
        self.check("list")?;
        let state = self.state.lock().unwrap();
        let own = state.jobs.iter().filter(|(_, job)| job.spec.owner == owner);
        Ok(Page {
            items: own.map(|(name, job)| (status(name, job), job.spec.labels.clone())).collect(),
            next: None,
        })
    }

    async fn logs(&self, _: &JobHandle, cursor: Option<&str>, _: u32) -> Result<LogPage> {
        let from: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let mut state = self.state.lock().unwrap();
        state.log_reads += 1;
        let here = state.logs[from..].iter().take_while(|(time, _)| *time <= Instant::now());
        let entries: Vec<_> = here.map(|(_, entry)| entry.clone()).collect();
        let lag_ms = u32::try_from(state.log_lag.as_millis()).unwrap();
        Ok(LogPage { next: (from + entries.len()).to_string(), entries, poll_after_ms: 500, lag_ms })
    }
}

#[async_trait]
impl Storage for FakeCloud {
    async fn create_volume(&self, volume: &Volume) -> Result<()> {
        self.check("create-volume")?;
        self.state.lock().unwrap().volumes.entry(volume.name.clone()).or_insert((volume.clone(), 0));
        Ok(())
    }
    async fn remove_volume(&self, _: &str, name: &str) -> Result<()> {
        self.check("remove-volume")?;
        self.state.lock().unwrap().volumes.remove(name);
        Ok(())
    }
    async fn volumes(&self, _: &str, _: Option<&str>) -> Result<Page<Volume>> {
        let state = self.state.lock().unwrap();
        Ok(Page { items: state.volumes.values().map(|(volume, _)| volume.clone()).collect(), next: None })
    }
    async fn usage(&self, _: &str, name: &str) -> Result<Usage> {
        self.check("usage")?;
        let files = self.state.lock().unwrap().volumes[name].1;
        Ok(Usage { bytes: files * 1000, files })
    }
    async fn mount(&self, request: &MountRequest) -> Result<Mount> {
        self.check("mount")?;
        assert!(request.executable);
        assert!(request.read_only || matches!(request.source, MountSource::Volume(_)));
        let renewed = if request.renew { ", renewed" } else { "" };
        Ok(Mount { state: format!("{:?}{renewed}", request.source) })
    }
    async fn put(&self, path: &str, content: &[u8]) -> Result<()> {
        self.check("put")?;
        let mut state = self.state.lock().unwrap();
        state.puts += 1;
        state.blobs.insert(path.into(), content.len() as u64);
        Ok(())
    }
    async fn get(&self, _: &str, _: u64, _: u32) -> Result<Vec<u8>> {
        Ok(vec![])
    }
    async fn stat(&self, path: &str) -> Result<Option<BlobInfo>> {
        let state = self.state.lock().unwrap();
        Ok(state.blobs.get(path).map(|size| BlobInfo { path: path.into(), size: *size, modified: None }))
    }
    async fn delete_blob(&self, _: &str) -> Result<()> {
        Ok(())
    }
    async fn blobs(&self, _: &str, _: Option<&str>) -> Result<Page<BlobInfo>> {
        Ok(Page { items: vec![], next: None })
    }
}

#[async_trait]
impl sockerless_ports::Backend for FakeCloud {
    fn manifest(&self) -> Arc<Manifest> {
        Arc::new(Manifest {
            name: "fake".into(),
            version: "1.0.0".into(),
            description: "A cloud in memory".into(),
            settings: vec![],
            http: vec![],
            features: self.features,
            limits: Limits {
                max_timeout_seconds: 7 * 86_400,
                cpu_millis: (1000, 8000),
                memory_bytes: (512 << 20, 32 << 30),
                stop_grace_seconds: 10,
                max_env: 1000,
            },
            sizes: Vec::new(),
            volumes: self.state.lock().unwrap().driver.clone(),
        })
    }
    async fn images(&self) -> Result<ImageSources> {
        self.check("images")?;
        Ok(ImageSources {
            direct: vec!["registry.test".into()],
            repository: self.state.lock().unwrap().repository.clone(),
            credential: None,
            platforms: vec!["linux/amd64".into()],
        })
    }
    async fn doctor(&self) -> Result<Vec<Check>> {
        Ok(vec![])
    }
}

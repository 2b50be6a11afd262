//! How a pod gets its job: when the first of its members is started.

use std::sync::Arc;

use futures_util::future;
use sha2::{Digest as _, Sha256};
use sockerless_ports::{
    backend::{JobContainer, JobSpec, JobVolume, VolumeSource, WorkloadKind},
    link::{RunId, environment},
};

use super::{
    Pod, Seat,
    key::Key,
    plan::{Candidate, choose},
};
use crate::{
    Engine, Error, ErrorKind, Result,
    containers::{Entry, View},
    life::Phase,
    supervisor::{Delivery, Intent, Ledger, Member, Run, SeatRecord, cpu_millis, job_name, labels},
};

impl Engine {
    /// Finds the place of a run in its pod's job, or makes that job; none of it for a run that is to have one of its own.
    ///
    /// Errors: 501 for the network stack of a container that runs without a place for this one; the provider's words.
    pub(crate) async fn find_seat(self: &Arc<Self>, entry: &Arc<Entry>, run: &Arc<Run>) -> Result<()> {
        self.pods.settled(&run.host).await;
        let view = entry.view();
        let Some(key) = self.pod_key(&view) else { return self.alone_after_all(&view) };
        let _gate = self.pods.gate(&key).await;
        let seat = match self.pods.take(&run.host) {
            Some(seat) => Some(seat),
            None if self.pods.has(&key, self) => {
                self.tell_left_out(entry, "its job was there before");
                None
            }
            None => self.open_pod(key, entry, run).await?,
        };
        match &seat {
            Some(seat) => run.sit(seat),
            None => self.alone_after_all(&view)?,
        }
        run.decide();
        Ok(())
    }

    /// Errors: it cannot have a job of its own.
    fn alone_after_all(&self, view: &View) -> Result<()> {
        match super::shares_with(&view.spec) {
            Some(other) => Err(self.stack_out_of_reach(other)),
            None => Ok(()),
        }
    }

    pub(crate) fn stack_out_of_reach(&self, other: &str) -> Error {
        let name =
            self.containers.get(other).map_or_else(|| other.to_owned(), |entry| entry.view().name.clone());
        let message = format!(
            "the network of another container (--network container:{name}): {name} runs in a job that has no place for this \
             container, and a job's containers cannot be added to. Create both before {name} is started (or stop {name}, \
             remove this container and create it anew), on a backend that has several containers in a job, and with \
             callback_url set"
        );
        Error::new(ErrorKind::Unsupported, message)
    }

    /// What a client that creates a container should know of its pod.
    pub(crate) fn warn_of_pod(&self, view: &View) -> Option<String> {
        let wanted = view.spec.label(super::LABEL).is_some_and(|name| !name.is_empty());
        match self.pod_key(view) {
            Some(key) if self.pods.has(&key, self) => Some(
                "the pod of this container has its job already, to which nothing can be added: this container gets a job of its \
                 own, unless it is started after all others have ended"
                    .into(),
            ),
            None if wanted => Some(format!(
                "the label {}: the backend {} has no jobs of several containers, the container is a service, or callback_url is \
                 not set; it gets a job of its own",
                super::LABEL,
                view.spec.backend
            )),
            _ => None,
        }
    }

    fn tell_left_out(&self, entry: &Entry, why: &str) {
        let name = &entry.view().name;
        tracing::warn!(container = entry.id(), name, why, "a container of a pod has a job of its own");
        self.events.container(entry, name, "pod_left_out", &[("reason", why.to_owned())]);
    }

    /// Makes the pod of a run with a place for every container that is there and has no job. None if there is no other.
    async fn open_pod(
        self: &Arc<Self>,
        key: Key,
        entry: &Arc<Entry>,
        run: &Arc<Run>,
    ) -> Result<Option<Arc<Seat>>> {
        let others: Vec<_> =
            self.containers.all().into_iter().filter(|other| other.id() != entry.id()).collect();
        let mut others: Vec<_> =
            others.into_iter().filter_map(|other| Some((self.first_run(&other, &key)?, other))).collect();
        others.sort_by_key(|(_, other)| other.spec.created);
        let cloud = self.cloud(&entry.spec.backend)?;
        let candidates = others.iter().map(|(run, other)| self.candidate(run.clone(), &other.view()));
        let first = self.candidate(run.host.clone(), &entry.view());
        let (members, left) = choose(first, candidates.collect(), &cloud.manifest().limits);
        for (left, why) in left {
            if let Some(left) = self.containers.get(&left.run.container) {
                self.tell_left_out(&left, &why);
            }
        }
        let made = members.into_iter().map(|member| self.make_member(member.run));
        let (agent, made) = future::join(self.delivery(&entry.spec.backend), future::join_all(made)).await;
        let mut made = made.into_iter();
        let mut members = vec![made.next().unwrap_or_else(|| Err(gone()))?];
        members.extend(made.filter_map(Result::ok));
        if members.len() < 2 {
            return Ok(None);
        }
        let pod = self.keep_pod(key, members, agent?).await?;
        Ok(self.pods.take(&run.host).filter(|seat| Arc::ptr_eq(&seat.pod, &pod)))
    }

    /// What a container would do first in the pod of a key; none if it is no member, or has a job already.
    fn first_run(&self, entry: &Entry, key: &Key) -> Option<RunId> {
        let view = entry.view();
        let state = &view.state;
        let generation = match state.phase {
            Phase::Created | Phase::Exited | Phase::Restarting if state.linger.is_none() => {
                state.generation + 1
            }
            // It is about to ask for a place, too.
            Phase::Starting if !state.in_place() => {
                let host = RunId { container: entry.id().to_owned(), generation: state.host };
                self.runs.host(&host).filter(|run| !run.is_decided())?;
                state.generation
            }
            _ => return None,
        };
        let member = self.pod_key(&view).is_some_and(|other| other == *key);
        member.then(|| RunId { container: entry.id().to_owned(), generation })
    }

    fn candidate(&self, run: RunId, view: &View) -> Candidate {
        let limits = self.cloud(&view.spec.backend).map(|cloud| cloud.manifest().limits).ok();
        let least = limits.map_or((0, 0), |limits| (limits.cpu_millis.0, limits.memory_bytes.0));
        let memory = view.spec.host.memory.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
        let memory = if memory > 0 { memory.saturating_add(crate::tuning::AGENT_MEMORY) } else { 0 };
        Candidate {
            run,
            cpu_millis: cpu_millis(&view.spec).unwrap_or(0).max(least.0),
            memory_bytes: memory.max(least.1),
        }
    }

    /// Errors are told of: the start of that container will say them.
    async fn make_member(&self, run: RunId) -> Result<(RunId, Arc<Entry>, Member)> {
        let entry = self.containers.get(&run.container).ok_or_else(gone)?;
        let made = self.member(&entry.view(), &run, self.link.callback_url()).await;
        let member = made.inspect_err(|error| {
            tracing::warn!(container = run.container, %error, "a container cannot be in its pod's job");
        })?;
        Ok((run, entry, member))
    }

    /// Writes down what is going to be made, lets the agents in, and begins.
    async fn keep_pod(
        self: &Arc<Self>,
        key: Key,
        members: Vec<(RunId, Arc<Entry>, Member)>,
        agent: Delivery,
    ) -> Result<Arc<Pod>> {
        let Some((first, opener)) = members.first().map(|(run, entry, _)| (run.clone(), entry.view())) else {
            return Err(gone());
        };
        let backend = opener.spec.backend.clone();
        let job = job_name(&self.owner, &first);
        let mut timeouts = members.iter().map(|(_, entry, _)| entry.spec.timeout);
        // The longest; without a limit if one has none.
        let timeout = timeouts.try_fold(0, |longest, timeout| Some(longest.max(timeout?)));
        let mut all = labels(&opener.spec, &opener.name);
        let names: Vec<String> = members.iter().map(|(_, entry, _)| entry.view().name.clone()).collect();
        all.push(("sockerless-pod".into(), names.join(",")));
        let mut seats = Vec::new();
        let (mut containers, mut volumes) = (Vec::new(), Vec::new());
        let count = members.len();
        for (index, (run, _, member)) in members.into_iter().enumerate() {
            let Member { mut container, volumes: own, ticket } = member;
            // Its agent is not to go before the others'.
            container.env.push((environment::POD.into(), format!("{job}/{index}/{count}")));
            let Some(ticket) = ticket else { return Err(gone()) };
            let ticket = Sha256::digest(ticket).into();
            seats.push(SeatRecord { serves: run.generation, kept: [0; 2], run, ticket, secret: None });
            containers.push(join(index, container, own, &mut volumes));
        }
        let mut spec = JobSpec {
            name: job.clone(),
            kind: WorkloadKind::Pod,
            labels: all,
            containers,
            volumes,
            ..self.job(timeout, self.cloud(&backend)?)
        };
        agent.bring(&mut spec);
        let intent = Intent {
            job: job.clone(),
            run: first,
            backend,
            spec: Some(spec),
            ticket: None,
            secret: None,
            handle: None,
            seats,
            closed: false,
        };
        let engine = Arc::clone(self);
        // Whole even if whoever asks is not needed any more: a record without anybody to look after it would stay.
        self.complete(async move {
            engine.runs.know_job(&job);
            if let Err(error) = engine.commit(vec![intent.put()?]).await {
                engine.runs.forget_job(&job);
                return Err(error);
            }
            Ok(engine.seat_agents(Some(key), intent, |_| true))
        })
        .await
    }

    /// Lets the agents of a pod in, and looks after its job. `waiting`: whether nobody has done a run in a place yet.
    pub(super) fn seat_agents(
        self: &Arc<Self>,
        key: Option<Key>,
        intent: Intent,
        waiting: impl Fn(&SeatRecord) -> bool,
    ) -> Arc<Pod> {
        let records = intent.seats.clone();
        let members = records.iter().map(|seat| seat.run.clone()).collect();
        let (job, backend) = (intent.job.clone(), intent.backend.clone());
        let pod = Arc::new(Pod::new(job, backend, key, Ledger::new(Some(intent)), members));
        let seats: Vec<Arc<Seat>> = records
            .iter()
            .enumerate()
            .map(|(index, record)| Seat::new(self.weak(), &pod, index, record, waiting(record)))
            .collect();
        for (seat, record) in seats.iter().zip(&records) {
            if seat.is_left(self) {
                self.runs.enter(&seat.mistrust());
            }
            self.link.admit(seat.admission(record), Arc::clone(seat) as _);
        }
        for seat in seats.iter().filter(|seat| seat.is_left(self)) {
            self.kill_unseen(seat.name());
        }
        self.pods.insert(Arc::clone(&pod), seats);
        let (engine, task) = (Arc::clone(self), Arc::clone(&pod));
        self.spawn(async move { engine.look_after_pod(&task).await });
        pod
    }
}

/// Makes a container one of several: names of its own for all that is named, and one volume for what two of them mount.
fn join(
    index: usize,
    mut container: JobContainer,
    own: Vec<JobVolume>,
    all: &mut Vec<JobVolume>,
) -> JobContainer {
    if index > 0 {
        container.name = format!("member-{index}");
    }
    for volume in own {
        let same = |known: &&JobVolume| {
            matches!(known.source, VolumeSource::Storage(_)) && known.source == volume.source
        };
        let name = match all.iter().find(same) {
            Some(known) => known.name.clone(),
            None => {
                let name = if index > 0 { format!("{}-{index}", volume.name) } else { volume.name.clone() };
                all.push(JobVolume { name: name.clone(), source: volume.source });
                name
            }
        };
        for mount in container.mounts.iter_mut().filter(|mount| mount.volume == volume.name) {
            // Not one that was renamed already: its name could be the same as another's old one.
            mount.volume = format!("\0{name}");
        }
    }
    for mount in &mut container.mounts {
        if let Some(name) = mount.volume.strip_prefix('\0') {
            mount.volume = name.to_owned();
        }
    }
    container
}

fn gone() -> Error {
    Error::new(ErrorKind::Conflict, "the container is gone")
}

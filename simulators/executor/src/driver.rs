//! Leads one task from its specification to its end.

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc::{Sender, UnboundedReceiver},
    task::JoinHandle,
    time::Instant,
};

use crate::{
    executor::Inner,
    image::Image,
    plan,
    pod::Pod,
    pool::{KeeperWriter, Slot},
    served::Waiting,
    spec::{FailureReason, TaskEvent, TaskSpec},
    stage::protocol::{FromKeeper, ToKeeper},
    task::Order,
    tuning::OUTPUT_CHUNK,
};

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// Until the last event was sent and the task's files are gone.
pub(crate) async fn drive(
    inner: &Inner,
    spec: TaskSpec,
    folder: String,
    events: Sender<TaskEvent>,
    mut orders: UnboundedReceiver<Order>,
) {
    let id = spec.id.clone();
    let mut early = Vec::new();
    let ready = tokio::select! {
        ready = prepare(inner, &spec, &events) => ready,
        () = cancelled(&mut orders, &mut early) => Err(failure(FailureReason::Cancelled, "stopped before it had started")),
    };
    let (image, slot) = match ready {
        Ok(ready) => ready,
        Err(last) => return finish(inner, &id, events, last).await,
    };
    let own = IpAddr::from(slot.lease.address);
    let address = spec.pod.as_ref().map_or(own, Pod::address);
    let hosts = inner.state.join("tasks").join(&folder).join("hosts");
    let (plan, waiting) = match plan::plan(inner, spec, folder, &image, address) {
        Ok(plan) => plan,
        Err((reason, message)) => {
            slot.end().await;
            return finish(inner, &id, events, failure(reason, message)).await;
        }
    };
    let run = Run { events, address, hosts, grace: None, started: false, early, outputs: None, waiting };
    run.run(inner, &id, slot, ToKeeper::Start(Box::new(plan)), orders).await;
}

async fn prepare(
    inner: &Inner,
    spec: &TaskSpec,
    events: &Sender<TaskEvent>,
) -> Result<(Arc<Image>, Slot), TaskEvent> {
    let pulling = async || tell(events, TaskEvent::Pulling).await;
    let image = inner
        .images
        .ensure(&spec.image, pulling)
        .await
        .map_err(|error| failure(error.reason, error.message))?;
    let slot =
        inner.pool.take().await.map_err(|error| failure(FailureReason::Internal, error.to_string()))?;
    Ok((image, slot))
}

/// Until the task is to be stopped; other signals are kept for its start.
async fn cancelled(orders: &mut UnboundedReceiver<Order>, early: &mut Vec<i32>) {
    loop {
        match orders.recv().await {
            Some(Order::Signal(number)) if number != SIGKILL => early.push(number),
            Some(Order::Signal(_) | Order::Stop(_)) => return,
            // All handles are dropped: nobody can stop it any more.
            None => std::future::pending().await,
        }
    }
}

fn failure(reason: FailureReason, message: impl Into<String>) -> TaskEvent {
    TaskEvent::Failed { reason, message: message.into() }
}

/// Somebody who dropped the receiver does not want to know.
async fn tell(events: &Sender<TaskEvent>, event: TaskEvent) {
    let _ = events.send(event).await;
}

/// The last event. The id is free from here on, so that a reader may run the task again at once.
async fn finish(inner: &Inner, id: &str, events: Sender<TaskEvent>, last: TaskEvent) {
    inner.release(id);
    tell(&events, last).await;
}

struct Run {
    events: Sender<TaskEvent>,
    address: IpAddr,
    /// Its /etc/hosts.
    hosts: PathBuf,
    /// When SIGKILL is due.
    grace: Option<Instant>,
    started: bool,
    early: Vec<i32>,
    outputs: Option<[JoinHandle<()>; 2]>,
    /// For mounts that are served.
    waiting: Waiting,
}

impl Run {
    async fn run(
        mut self,
        inner: &Inner,
        id: &str,
        slot: Slot,
        start: ToKeeper,
        mut orders: UnboundedReceiver<Order>,
    ) {
        let Slot { stdout, stderr, control, mut keeper, lease, network } = slot;
        let (mut reader, mut writer) = (control.reader, control.writer);
        let mut pipes = Some((stdout, stderr));
        let mut last = None;
        if let Err(error) = writer.send(&start).await {
            last = Some(failure(FailureReason::Internal, format!("keeper: {error}")));
        }
        while last.is_none() {
            let grace = self.grace;
            tokio::select! {
                message = reader.receive() => match message {
                    Ok(Some(FromKeeper::Started(pid))) => {
                        self.started = true;
                        // Names that came while it was being made.
                        if let Err(error) = inner.hosts.complete(&self.hosts) {
                            tracing::warn!(%error, id, "a task's /etc/hosts");
                        }
                        tell(&self.events, TaskEvent::Started { pid, address: self.address }).await;
                        self.carry(&mut pipes);
                        for number in std::mem::take(&mut self.early) {
                            self.signal(&mut writer, number).await;
                        }
                    }
                    Ok(Some(FromKeeper::Exited { code, signal, out_of_memory })) => {
                        last = Some(TaskEvent::Exited { exit_code: code, signal, out_of_memory });
                    }
                    Ok(Some(FromKeeper::Failed(error))) => last = Some(failure(error.reason, error.message)),
                    Ok(Some(FromKeeper::Ready | FromKeeper::Unshared)) => {}
                    // Killed by somebody, and init with it.
                    Ok(None) if self.started => {
                        last = Some(TaskEvent::Exited { exit_code: None, signal: Some(SIGKILL), out_of_memory: false });
                    }
                    Ok(None) => last = Some(failure(FailureReason::Internal, "the keeper ended")),
                    Err(error) => last = Some(failure(FailureReason::Internal, format!("keeper: {error}"))),
                },
                Some(order) = orders.recv() => self.obey(&mut writer, order).await,
                () = async { match grace { Some(at) => tokio::time::sleep_until(at).await, None => std::future::pending().await } } => {
                    self.grace = None;
                    self.signal(&mut writer, SIGKILL).await;
                }
            }
        }
        // What was written before the end comes before the end.
        self.carry(&mut pipes);
        for output in self.outputs.take().into_iter().flatten() {
            let _ = output.await;
        }
        drop(self.waiting);
        if let Some(last) = last {
            finish(inner, id, self.events, last).await;
        }
        drop((reader, writer));
        // It is still removing the task's files.
        if let Err(error) = keeper.wait().await {
            tracing::warn!(%error, "a keeper cannot be waited for");
        }
        drop((lease, network));
    }

    async fn obey(&mut self, writer: &mut KeeperWriter, order: Order) {
        match order {
            Order::Signal(number) if self.started => self.signal(writer, number).await,
            Order::Signal(number) => self.early.push(number),
            Order::Stop(grace) => {
                let at = Instant::now() + grace.min(Duration::from_secs(u32::MAX.into()));
                // A second, more impatient stop shortens the first.
                self.grace = Some(self.grace.map_or(at, |have| have.min(at)));
                if self.started {
                    self.signal(writer, SIGTERM).await;
                } else {
                    self.early.push(SIGTERM);
                }
            }
        }
    }

    async fn signal(&self, writer: &mut KeeperWriter, number: i32) {
        // A keeper that is gone has its end told by the reader.
        let _ = writer.send(&ToKeeper::Signal(number)).await;
    }

    fn carry(&mut self, pipes: &mut Option<(tokio::process::ChildStdout, tokio::process::ChildStderr)>) {
        if let Some((stdout, stderr)) = pipes.take() {
            self.outputs = Some([
                tokio::spawn(carry(stdout, false, self.events.clone())),
                tokio::spawn(carry(stderr, true, self.events.clone())),
            ]);
        }
    }
}

/// Everything from a pipe to the reader of the events. Without a reader it is thrown away, so
/// that the container does not block.
async fn carry(mut pipe: impl AsyncRead + Unpin, stderr: bool, events: Sender<TaskEvent>) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(OUTPUT_CHUNK);
        match (&mut pipe).take(OUTPUT_CHUNK as u64).read_buf(&mut buffer).await {
            Ok(0) => return,
            Ok(_) => {
                let event =
                    TaskEvent::Output { stderr, time: SystemTime::now(), bytes: buffer.split().freeze() };
                tell(&events, event).await;
            }
            Err(error) => {
                tracing::warn!(%error, "a container's output cannot be read");
                return;
            }
        }
    }
}

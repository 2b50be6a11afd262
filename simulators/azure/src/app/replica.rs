//! A replica: its init containers one after the other, then its containers side by side, to the end of the last.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sockerless_executor::{FailureReason, TaskEvent, TaskSpec};
use sockerless_simulator_common::runner::{Instance, Running, Stop};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::mounts;
use super::plan::{self, Replica};
use crate::error::Result;
use crate::limits;
use crate::logs::{ContainerLog, Origin};

/// How a replica ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All containers exited with 0.
    Succeeded,
    /// It was asked to end.
    Stopped,
    /// It had its time.
    TimedOut,
    /// A container's fault.
    Failed(String),
    /// The simulator ends.
    Closing,
}

/// Who is told how the containers are.
pub trait Watch: Send {
    /// `status` is `Running`, `Succeeded` or `Failed`; `code` is an exit code.
    ///
    /// # Errors
    /// The database's.
    fn set(&mut self, container: &str, status: &str, code: Option<i32>, information: &str) -> Result<()>;
}

/// What a container tells.
enum Word {
    Started,
    /// Its last event; none when it was lost.
    Ended(Option<TaskEvent>),
}

type Words = mpsc::UnboundedReceiver<(usize, Word)>;

struct Run<'a> {
    replica: &'a Replica<'a>,
    origin: &'a Origin,
    cancel: &'a CancellationToken,
    deadline: Option<Instant>,
    pod: Option<Arc<dyn Instance>>,
    /// Why it ends before its containers do.
    early: Option<Outcome>,
    /// What is running now: `Init container` or `Container`.
    what: &'static str,
}

/// Runs a replica to its end.
///
/// # Errors
/// The database's.
pub async fn run(
    replica: &Replica<'_>,
    origin: &Origin,
    cancel: &CancellationToken,
    timeout: Option<Duration>,
    watch: &mut dyn Watch,
) -> Result<Outcome> {
    let pod = match replica.together {
        true => match replica.simulator.runner.instance().await {
            Ok(pod) => Some(pod),
            Err(why) => return Ok(Outcome::Failed(why)),
        },
        false => None,
    };
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut run =
        Run { replica, origin, cancel, deadline, pod: pod.clone(), early: None, what: "Init container" };
    if let (Some(backends), Some(pod)) = (replica.ingress, &pod) {
        backends.add(pod);
    }
    let outcome = run.all(watch).await;
    if let (Some(backends), Some(pod)) = (replica.ingress, &pod) {
        backends.remove(pod);
    }
    if let Some(pod) = pod {
        pod.close().await;
    }
    let folder = mounts::replica_folder(replica);
    if folder.exists() {
        tokio::fs::remove_dir_all(folder).await?;
    }
    outcome
}

fn list<'a>(template: &'a Value, field: &str) -> &'a [Value] {
    template[field].as_array().map_or(&[], Vec::as_slice)
}

impl Run<'_> {
    async fn all(&mut self, watch: &mut dyn Watch) -> Result<Outcome> {
        let template = self.replica.template;
        for init in list(template, "initContainers") {
            match self.some(std::slice::from_ref(init), watch).await? {
                Outcome::Succeeded => {}
                other => return Ok(other),
            }
        }
        self.what = "Container";
        self.some(list(template, "containers"), watch).await
    }

    fn begin(&self, spec: TaskSpec) -> std::result::Result<Running, String> {
        match &self.pod {
            Some(pod) => pod.run(spec),
            None => self.replica.simulator.runner.run(spec),
        }
    }

    /// Runs containers side by side to the end of the last.
    async fn some(&mut self, containers: &[Value], watch: &mut dyn Watch) -> Result<Outcome> {
        let (sender, words) = mpsc::unbounded_channel();
        let mut stops: Vec<Option<Box<dyn Stop>>> = Vec::new();
        // They go with this call: they have told the end of what they carry, or the simulator ends.
        let mut carriers = JoinSet::new();
        let mut failed: Option<String> = None;
        for (index, container) in containers.iter().enumerate() {
            let name = container["name"].as_str().unwrap_or_default();
            let begun = plan::container(self.replica, container).and_then(|spec| self.begin(spec));
            match begun {
                Ok(Running { events, stop }) => {
                    stops.push(Some(stop));
                    let image = container["image"].as_str().unwrap_or_default();
                    let log = self.replica.simulator.logs.container(self.origin, name, image);
                    carriers.spawn(carry(index, events, log, sender.clone()));
                }
                Err(why) => {
                    stops.push(None);
                    watch.set(name, "Failed", None, &why)?;
                    failed.get_or_insert(format!("{} '{name}' failed to start: {why}", self.what));
                }
            }
        }
        if failed.is_some() {
            stop(&stops);
        }
        self.hear(containers, words, stops, failed, watch).await
    }

    async fn hear(
        &mut self,
        containers: &[Value],
        mut words: Words,
        mut stops: Vec<Option<Box<dyn Stop>>>,
        mut failed: Option<String>,
        watch: &mut dyn Watch,
    ) -> Result<Outcome> {
        while stops.iter().any(Option::is_some) {
            let deadline = self.deadline;
            let late = async {
                match deadline {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let (index, word) = tokio::select! {
                Some(word) = words.recv() => word,
                // What ends from now on ends by the simulator's own end.
                () = self.replica.simulator.closing.cancelled() => return Ok(Outcome::Closing),
                () = self.cancel.cancelled(), if self.early.is_none() => {
                    self.early = Some(Outcome::Stopped);
                    stop(&stops);
                    continue;
                }
                () = late, if self.early.is_none() => {
                    self.early = Some(Outcome::TimedOut);
                    stop(&stops);
                    continue;
                }
            };
            let name = containers[index]["name"].as_str().unwrap_or_default();
            match word {
                Word::Started => watch.set(name, "Running", None, "")?,
                Word::Ended(event) => {
                    stops[index] = None;
                    let (code, information) =
                        ended(event, containers[index]["image"].as_str().unwrap_or_default());
                    let status = if code == Some(0) { "Succeeded" } else { "Failed" };
                    watch.set(name, status, code, &information)?;
                    if code != Some(0) {
                        let what = self.what;
                        let why = if information.is_empty() {
                            format!(
                                "{what} '{name}' was terminated with exit code '{}'",
                                code.unwrap_or_default()
                            )
                        } else {
                            format!("{what} '{name}' failed: {information}")
                        };
                        failed.get_or_insert(why);
                    }
                }
            }
        }
        Ok(match (self.early.clone(), failed) {
            (Some(early), _) => early,
            (None, Some(why)) => Outcome::Failed(why),
            (None, None) => Outcome::Succeeded,
        })
    }
}

fn stop(stops: &[Option<Box<dyn Stop>>]) {
    for stop in stops.iter().flatten() {
        stop.stop(limits::STOP_GRACE);
    }
}

/// Exit code and what else there is to say: a signal counts from 128, as Kubernetes has it.
fn ended(event: Option<TaskEvent>, image: &str) -> (Option<i32>, String) {
    match event {
        Some(TaskEvent::Exited { out_of_memory: true, signal: Some(_), .. }) => {
            (Some(137), "OOMKilled".to_owned())
        }
        Some(TaskEvent::Exited { exit_code: Some(code), .. }) => (Some(code), String::new()),
        Some(TaskEvent::Exited { signal: Some(signal), .. }) => (Some(128 + signal), String::new()),
        Some(TaskEvent::Failed { reason, message }) => match reason {
            FailureReason::ImageNotFound
            | FailureReason::ImageUnauthorized
            | FailureReason::ImagePlatform
            | FailureReason::ImageInvalid
            | FailureReason::ImageUnavailable => (None, format!("ImagePullFailure: '{image}': {message}")),
            FailureReason::MountFailed => (None, format!("VolumeMountFailure: {message}")),
            FailureReason::Internal | FailureReason::Cancelled => (None, message),
            FailureReason::UserNotFound
            | FailureReason::WorkingDirectory
            | FailureReason::CommandNotFound
            | FailureReason::CommandNotExecutable
            | FailureReason::ExecFormat => (Some(128), format!("ContainerCreateFailure: {message}")),
        },
        _ => (None, "The container was lost.".to_owned()),
    }
}

/// Writes a container's output to its log, and tells the rest.
async fn carry(
    index: usize,
    mut events: mpsc::Receiver<TaskEvent>,
    mut log: ContainerLog,
    words: mpsc::UnboundedSender<(usize, Word)>,
) {
    // Who does not listen any more has ended with the simulator.
    let tell = |word| drop(words.send((index, word)));
    let last = loop {
        match events.recv().await {
            Some(TaskEvent::Pulling) => {}
            Some(TaskEvent::Started { .. }) => tell(Word::Started),
            Some(TaskEvent::Output { stderr, time, bytes }) => log.write(stderr, time, &bytes).await,
            last => break last,
        }
    };
    log.close().await;
    tell(Word::Ended(last));
}

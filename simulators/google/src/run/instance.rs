//! An attempt of several containers, or of one with a startup probe: they share a network and volumes, start in the order
//! that `dependsOn` gives, and end together.
//!
//! Which container's exit ends a task is not documented. Here it is the first one's: the others are its sidecars, whose own
//! ends matter only to those who still wait for them.

use std::sync::Arc;
use std::time::Duration;

use sockerless_executor::TaskEvent;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use super::attempt::{self, Attempt, Outcome};
use super::conditions::Reason;
use super::plan::{Planned, Startup};
use crate::error::Result;
use crate::limits;
use crate::logging::TaskLog;
use crate::runner::{Instance, Running, Stop};

/// The container that decides.
const MAIN: usize = 0;

/// What a container tells.
enum Word {
    Started,
    Ready,
    /// Its startup probe has failed too often.
    Unready(String),
    /// Its last event; none when it was lost.
    Ended(Option<TaskEvent>),
}

/// Where a container is.
enum Place {
    /// Waits for others.
    Waiting(Box<Planned>),
    /// Begun; its probe is on its way once it runs.
    Starting,
    Ready,
    Ended,
}

struct Container {
    name: String,
    image: String,
    after: Vec<usize>,
    startup: Option<Arc<Startup>>,
    place: Place,
    stop: Option<Box<dyn Stop>>,
}

struct Containers<'a> {
    attempt: &'a Attempt<'a>,
    instance: Arc<dyn Instance>,
    all: Vec<Container>,
    words: UnboundedSender<(usize, Word)>,
    /// What carries output and asks probes.
    work: JoinSet<()>,
    started: bool,
    stopping: bool,
    timed_out: bool,
    outcome: Option<Outcome>,
}

/// Runs the attempt to the end of all of its containers.
pub async fn run(attempt: &Attempt<'_>, planned: Vec<Planned>) -> Result<Outcome> {
    let instance = match attempt.simulator.runner.instance().await {
        Ok(instance) => instance,
        Err(message) => return Ok(Outcome::unstarted(Reason::Common("INTERNAL"), message)),
    };
    let (words, receiver) = mpsc::unbounded_channel();
    let container = |mut planned: Planned| Container {
        name: planned.name.clone(),
        image: planned.image.clone(),
        after: std::mem::take(&mut planned.after),
        startup: planned.startup.take().map(Arc::new),
        place: Place::Waiting(Box::new(planned)),
        stop: None,
    };
    let mut containers = Containers {
        attempt,
        instance: instance.clone(),
        all: planned.into_iter().map(container).collect(),
        words,
        work: JoinSet::new(),
        started: false,
        stopping: false,
        timed_out: false,
        outcome: None,
    };
    let outcome = containers.run(receiver).await;
    drop(containers);
    instance.close().await;
    outcome
}

impl Containers<'_> {
    async fn run(&mut self, mut words: UnboundedReceiver<(usize, Word)>) -> Result<Outcome> {
        let simulator = self.attempt.simulator;
        let mut deadline = attempt::deadline(self.attempt);
        self.start_ready();
        while self.running() {
            let word = tokio::select! {
                Some(word) = words.recv() => word,
                // What ends from now on ends by the simulator's own end.
                () = simulator.run.closing.cancelled() => {
                    return Ok(Outcome::unstarted(Reason::Common("INTERNAL"), "The simulator ended."));
                }
                () = self.attempt.cancel.cancelled(), if !self.stopping => {
                    self.stop();
                    continue;
                }
                () = sleep_until(deadline), if !self.timed_out => {
                    self.timed_out = true;
                    // Never looked at again; an instant that is not reached.
                    deadline += Duration::from_secs(1 << 30);
                    self.stop();
                    continue;
                }
            };
            self.hear(word)?;
            self.start_ready();
        }
        // The carriers have closed their logs before they told the end; what is left are probes of containers that ended.
        self.work.abort_all();
        let outcome = self.outcome.take();
        // Nobody's end has decided: it was stopped before the main container could run.
        let never = || match self.timed_out {
            true => attempt::ended(None, None, false, true),
            false => Outcome::unstarted(Reason::Common("UNKNOWN"), "The main container was not started."),
        };
        Ok(Outcome { started: self.started, ..outcome.unwrap_or_else(never) })
    }

    fn running(&self) -> bool {
        self.all.iter().any(|container| matches!(container.place, Place::Starting | Place::Ready))
    }

    /// Starts what waits for nobody any more.
    fn start_ready(&mut self) {
        for index in 0..self.all.len() {
            if self.stopping {
                return;
            }
            let free = self.all[index]
                .after
                .iter()
                .all(|other| matches!(self.all[*other].place, Place::Ready | Place::Ended));
            let container = &mut self.all[index];
            if !free || !matches!(container.place, Place::Waiting(_)) {
                continue;
            }
            let Place::Waiting(planned) = std::mem::replace(&mut container.place, Place::Starting) else {
                continue;
            };
            match self.instance.run(planned.spec) {
                Ok(Running { events, stop }) => {
                    container.stop = Some(stop);
                    let name = (!container.name.is_empty()).then(|| container.name.clone());
                    let log = self.attempt.simulator.logging.task(&attempt::origin(self.attempt, name));
                    self.work.spawn(carry(index, events, log, self.words.clone()));
                }
                Err(message) => {
                    container.place = Place::Ended;
                    self.decide(Outcome::unstarted(Reason::Common("INTERNAL"), message));
                }
            }
        }
    }

    fn hear(&mut self, (index, word): (usize, Word)) -> Result<()> {
        match word {
            Word::Started => {
                if !std::mem::replace(&mut self.started, true) {
                    attempt::mark_started(self.attempt)?;
                }
                let container = &mut self.all[index];
                match &container.startup {
                    Some(startup) => {
                        let (instance, startup) = (self.instance.clone(), startup.clone());
                        self.work.spawn(probe(index, instance, startup, self.words.clone()));
                    }
                    None => container.place = Place::Ready,
                }
            }
            // A probe may have been on its way when its container ended.
            Word::Ready if matches!(self.all[index].place, Place::Starting) => {
                self.all[index].place = Place::Ready
            }
            Word::Unready(last) if matches!(self.all[index].place, Place::Starting) => {
                let message = format!(
                    "The user-provided container{} failed the configured startup probe checks: {last}.",
                    self.named(index)
                );
                self.decide(failed(message));
            }
            Word::Ready | Word::Unready(_) => {}
            Word::Ended(event) => self.end(index, event),
        }
        Ok(())
    }

    fn end(&mut self, index: usize, event: Option<TaskEvent>) {
        let was_ready = matches!(self.all[index].place, Place::Ready);
        self.all[index].place = Place::Ended;
        let outcome = match event {
            Some(TaskEvent::Exited { exit_code, signal, out_of_memory }) => {
                attempt::ended(exit_code, signal, out_of_memory, self.timed_out)
            }
            Some(TaskEvent::Failed { reason, message }) => {
                attempt::unstarted(reason, message, &self.all[index].image)
            }
            _ => Outcome::unstarted(Reason::Common("INTERNAL"), "The container was lost."),
        };
        if index == MAIN {
            self.decide(outcome);
        } else if !was_ready && !self.stopping {
            let message = match outcome.message.as_str() {
                "" => "It exited before its startup probe had succeeded.",
                message => message,
            };
            let message = format!("The container{} did not become ready: {message}", self.named(index));
            self.decide(Outcome { message, code: if outcome.good() { 10 } else { outcome.code }, ..outcome });
        }
    }

    /// The first outcome counts. From here on all comes to its end.
    fn decide(&mut self, outcome: Outcome) {
        self.outcome.get_or_insert(outcome);
        if !self.stopping {
            self.stop();
        }
    }

    fn stop(&mut self) {
        self.stopping = true;
        for container in &self.all {
            if let (Place::Starting | Place::Ready, Some(stop)) = (&container.place, &container.stop) {
                stop.stop(limits::STOP_GRACE);
            }
        }
    }

    /// ` "name"`, if it has one.
    fn named(&self, index: usize) -> String {
        let name = &self.all[index].name;
        if name.is_empty() { String::new() } else { format!(" {name:?}") }
    }
}

/// A container that runs and is not what it should be.
fn failed(message: String) -> Outcome {
    Outcome { message, code: 9, ..attempt::ended(None, None, false, false) }
}

/// Writes a container's output to its log, and tells the rest.
async fn carry(
    index: usize,
    mut events: mpsc::Receiver<TaskEvent>,
    mut log: TaskLog,
    words: UnboundedSender<(usize, Word)>,
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

/// Asks until it is answered well, or badly too often.
async fn probe(
    index: usize,
    instance: Arc<dyn Instance>,
    startup: Arc<Startup>,
    words: UnboundedSender<(usize, Word)>,
) {
    sleep(startup.delay).await;
    let mut word = Word::Unready("it was never asked".to_owned());
    for question in 0..startup.failures {
        if question > 0 {
            sleep(startup.period).await;
        }
        match instance.probe(&startup.probe, startup.timeout).await {
            Ok(()) => {
                word = Word::Ready;
                break;
            }
            Err(last) => word = Word::Unready(last),
        }
    }
    drop(words.send((index, word)));
}

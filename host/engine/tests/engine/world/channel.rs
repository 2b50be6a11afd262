//! A request under way between an engine and a scripted agent.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use sockerless_ports::link::{
    request::{End, Reply, Request},
    *,
};
use tokio::sync::watch;

/// What an agent does with a request.
pub type Script = Arc<dyn Fn(Request, AgentEnd) -> BoxFuture<'static, ()> + Send + Sync>;

/// How many bytes of output wait for the engine before the agent has to.
const WINDOW: usize = 64 * 1024;

/// The agent's end: what `agent/src/shared/channel.rs` is to its workers.
#[derive(Clone)]
pub struct AgentEnd {
    wire: Arc<Wire>,
}

/// The engine's end.
pub struct EngineEnd {
    wire: Arc<Wire>,
    /// An exec goes on when this is dropped.
    is_exec: bool,
    turn: u32,
}

pub(super) struct Wire(watch::Sender<State>);

#[derive(Default)]
struct State {
    reply: Option<Reply>,
    end: Option<End>,
    output: VecDeque<(Output, Bytes)>,
    input: VecDeque<Bytes>,
    finished: bool,
    size: Option<TerminalSize>,
    /// The engine has dropped its end.
    closed: bool,
    /// The run was dismissed.
    gone: bool,
    /// Which engine's end counts: one that was adopted silences those before.
    turn: u32,
}

impl Wire {
    async fn until<T>(&self, mut act: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut changes = self.0.subscribe();
        loop {
            changes.mark_unchanged();
            let mut given = None;
            self.0.send_if_modified(|state| {
                given = act(state);
                given.is_some()
            });
            match given {
                Some(given) => return given,
                None => changes.changed().await.unwrap(),
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.0.send_modify(change);
    }
}

impl AgentEnd {
    /// Answers the request; the first thing that is said.
    pub fn reply(&self, reply: Reply) {
        self.wire.change(|state| state.reply = Some(reply));
    }

    /// Writes output; waits while the engine has not read what came before. False: nobody wants it any more.
    pub async fn write(&self, output: Output, bytes: impl Into<Bytes>) -> bool {
        let bytes = bytes.into();
        self.wire
            .until(|state| {
                if state.closed || state.gone {
                    return Some(false);
                }
                let waiting: usize = state.output.iter().map(|(_, bytes)| bytes.len()).sum();
                (waiting == 0 || waiting + bytes.len() <= WINDOW).then(|| {
                    state.output.push_back((output, bytes.clone()));
                    true
                })
            })
            .await
    }

    /// The next bytes of input; none at their end.
    pub async fn read(&self) -> Option<Bytes> {
        self.wire
            .until(|state| match state.input.pop_front() {
                Some(bytes) => Some(Some(bytes)),
                None => (state.finished || state.gone).then_some(None),
            })
            .await
    }

    /// All input to its end.
    pub async fn read_all(&self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(bytes) = self.read().await {
            all.extend_from_slice(&bytes);
        }
        all
    }

    /// Waits until the engine has dropped its end.
    pub async fn closed(&self) {
        self.wire.until(|state| (state.closed || state.gone).then_some(())).await;
    }

    /// The terminal's next size.
    pub async fn resized(&self) -> TerminalSize {
        self.wire.until(|state| state.size.take()).await
    }

    /// The last thing that is said.
    pub fn end(&self, end: End) {
        self.wire.change(|state| state.end = Some(end));
    }
}

impl EngineEnd {
    async fn given<T>(&self, mut act: impl FnMut(&mut State) -> Option<T>) -> Result<T, LinkError> {
        self.wire
            .until(|state| {
                if state.gone || state.turn != self.turn {
                    return Some(Err(LinkError::Unknown));
                }
                act(state).map(Ok)
            })
            .await
    }

    pub(super) async fn reply(&self) -> Result<Reply, LinkError> {
        self.given(|state| state.reply.clone()).await
    }
}

#[async_trait]
impl Channel for EngineEnd {
    async fn read(&self) -> Option<(Output, Bytes)> {
        self.given(|state| match state.output.pop_front() {
            Some(piece) => Some(Some(piece)),
            None => state.end.is_some().then_some(None),
        })
        .await
        .ok()
        .flatten()
    }

    async fn write(&self, bytes: Bytes) -> Result<(), LinkError> {
        self.given(|state| {
            if state.finished || state.end.is_some() {
                return Some(Err(LinkError::Closed));
            }
            state.input.push_back(bytes.clone());
            Some(Ok(()))
        })
        .await?
    }

    fn finish(&self) {
        self.wire.change(|state| state.finished = true);
    }

    fn resize(&self, size: TerminalSize) {
        self.wire.change(|state| state.size = Some(size));
    }

    async fn end(&self) -> Result<End, LinkError> {
        self.given(|state| state.end.clone().filter(|_| state.output.is_empty())).await
    }
}

impl Drop for EngineEnd {
    fn drop(&mut self) {
        let (is_exec, turn) = (self.is_exec, self.turn);
        self.wire.change(|state| {
            if state.turn == turn {
                // An exec's output is thrown away from now on; its process goes on.
                state.closed |= !is_exec;
                state.output.clear();
            }
        });
    }
}

/// A channel, of a run; of an exec's the exec's id.
type Open = (RunId, Option<String>, Arc<Wire>);

/// The channels of all runs, and the script that answers.
pub(super) struct Channels {
    script: Mutex<Script>,
    open: Mutex<Vec<Open>>,
}

impl Default for Channels {
    fn default() -> Self {
        Self { script: Mutex::new(script(|_, _| std::future::pending())), open: Mutex::default() }
    }
}

pub(super) fn script<F: Future<Output = ()> + Send + 'static>(
    script: impl Fn(Request, AgentEnd) -> F + Send + Sync + 'static,
) -> Script {
    Arc::new(move |request, end| Box::pin(script(request, end)))
}

impl Channels {
    fn channels(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap()
    }

    pub fn set(&self, script: Script) {
        *self.script.lock().unwrap() = script;
    }

    /// Gives a request to the agent, which outlives the daemon.
    pub fn open(&self, run: &RunId, request: Request) -> EngineEnd {
        let wire = Arc::new(Wire(watch::Sender::default()));
        let exec = match &request {
            Request::Exec(exec) => Some(exec.id.clone()),
            _ => None,
        };
        let is_exec = exec.is_some();
        self.channels().push((run.clone(), exec, Arc::clone(&wire)));
        let script = self.script.lock().unwrap().clone();
        tokio::spawn(script(request, AgentEnd { wire: Arc::clone(&wire) }));
        EngineEnd { wire, is_exec, turn: 0 }
    }

    /// Finds an exec again.
    pub fn adopt(&self, run: &RunId, exec: &str) -> Option<EngineEnd> {
        let channels = self.channels();
        let (_, _, wire) =
            channels.iter().find(|(of, id, _)| of == run && id.as_deref() == Some(exec)).cloned()?;
        let mut turn = 0;
        wire.change(|state| {
            state.turn += 1;
            turn = state.turn;
        });
        Some(EngineEnd { wire, is_exec: true, turn })
    }

    /// The run is over, and its agent gone.
    pub fn dismiss(&self, run: &RunId) {
        self.channels().retain(|(of, _, wire)| {
            if of == run {
                wire.change(|state| state.gone = true);
            }
            of != run
        });
    }

    /// The daemon is dead: what is no exec ends, execs wait to be adopted.
    pub fn orphan(&self) {
        self.channels().retain(|(_, exec, wire)| {
            wire.change(|state| {
                state.turn += 1;
                state.closed |= exec.is_none();
            });
            exec.is_some()
        });
    }
}

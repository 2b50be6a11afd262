use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use sockerless_ports::{
    Link,
    link::{
        request::{Reply, Request},
        *,
    },
};
use tokio::sync::{mpsc, watch};

use super::channel::{AgentEnd, Channels, script};

/// What the engine sends to an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    Signal(i32),
    Stdin(Bytes),
    CloseStdin,
    Resize(TerminalSize),
}

/// Agents' connections without a network.
pub struct FakeLink {
    callback: Option<String>,
    state: watch::Sender<HashMap<RunId, Door>>,
    /// Agents by run: they outlive the daemon.
    agents: Mutex<HashMap<RunId, mpsc::UnboundedSender<Order>>>,
    channels: Channels,
    /// Runs whose agents were told to go.
    dismissed: Mutex<HashSet<RunId>>,
    /// Runs whose agents hear nothing of a successor.
    deaf: Mutex<HashSet<RunId>>,
    /// Runs whose agents start the process, but cannot tell.
    mute: Mutex<HashSet<RunId>>,
    /// Runs whose processes nothing reaches, with what reached them before.
    stalled: Mutex<HashMap<RunId, mpsc::UnboundedSender<Order>>>,
    /// Runs whose agents were told that there is nothing to start.
    idle: Mutex<HashSet<RunId>>,
    /// Runs whose program is not there.
    broken: Mutex<HashSet<RunId>>,
    mesh: Mutex<Option<Arc<dyn Mesh>>>,
    /// Runs whose agents were to be told of the mesh anew, in order.
    refreshed: watch::Sender<Vec<RunId>>,
}

/// An open door for one agent.
#[derive(Clone)]
pub struct Door {
    pub admission: Admission,
    pub events: Arc<dyn AgentEvents>,
    pub number: u64,
    pub connected: bool,
    /// What its agent shall do next.
    pub next: Option<RunId>,
}

/// What becomes of an agent whose process has ended.
pub enum Fate {
    Dismissed,
    Successor(RunId),
    /// There is another daemon.
    Door,
}

impl FakeLink {
    pub fn new(callback: Option<&str>) -> Arc<Self> {
        Arc::new(Self {
            callback: callback.map(str::to_owned),
            state: watch::Sender::default(),
            agents: Mutex::default(),
            channels: Channels::default(),
            dismissed: Mutex::default(),
            deaf: Mutex::default(),
            mute: Mutex::default(),
            stalled: Mutex::default(),
            idle: Mutex::default(),
            broken: Mutex::default(),
            mesh: Mutex::default(),
            refreshed: watch::Sender::default(),
        })
    }

    /// What the engine knows of networks.
    pub fn mesh(&self) -> Option<Arc<dyn Mesh>> {
        self.mesh.lock().unwrap().clone()
    }

    /// Waits until what an agent of the run is told of the mesh, from now on, fulfils a condition.
    pub async fn sees(&self, run: &RunId, mut wanted: impl FnMut(&MeshView) -> bool) -> MeshView {
        let mut refreshed = self.refreshed.subscribe();
        loop {
            refreshed.borrow_and_update();
            if let Some(view) = self.mesh().map(|mesh| mesh.view(run)).filter(&mut wanted) {
                return view;
            }
            refreshed.changed().await.unwrap();
        }
    }

    /// Runs whose agents were to be told anew so far, in order.
    pub fn refreshed(&self) -> Vec<RunId> {
        self.refreshed.borrow().clone()
    }

    /// What agents do with requests from now on: `script` runs once for each, on its own, and outlives daemons. Without one
    /// requests are never answered.
    pub fn serve<F: Future<Output = ()> + Send + 'static>(
        &self,
        serve: impl Fn(Request, AgentEnd) -> F + Send + Sync + 'static,
    ) {
        self.channels.set(script(serve));
    }

    pub fn forget_all(&self) {
        self.state.send_modify(HashMap::clear);
        self.channels.orphan();
    }

    /// All agents are gone.
    pub fn dismiss_all(&self) {
        let runs: Vec<RunId> = self.state.borrow().keys().cloned().collect();
        runs.iter().for_each(|run| self.dismiss(run));
    }

    pub fn agent(&self, run: &RunId) -> mpsc::UnboundedReceiver<Order> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.agents.lock().unwrap().insert(run.clone(), sender);
        receiver
    }

    /// Waits for a door other than the one known.
    pub async fn door(&self, run: &RunId, known: Option<u64>) -> Door {
        let mut state = self.state.subscribe();
        let doors = state
            .wait_for(|doors| doors.get(run).is_some_and(|door| Some(door.number) != known))
            .await
            .unwrap();
        doors[run].clone()
    }

    /// What is to become of the agent of a run that has come in by a door and whose process has ended.
    pub async fn fate(&self, run: &RunId, number: u64) -> Fate {
        let mut state = self.state.subscribe();
        loop {
            let fate = {
                let doors = state.borrow_and_update();
                let door = doors.get(run);
                match door {
                    _ if self.dismissed.lock().unwrap().contains(run) => Some(Fate::Dismissed),
                    _ if self.deaf.lock().unwrap().contains(run) => None,
                    Some(Door { next: Some(next), .. }) => Some(Fate::Successor(next.clone())),
                    Some(door) if door.number != number => Some(Fate::Door),
                    _ => None,
                }
            };
            match fate {
                Some(fate) => return fate,
                None => state.changed().await.unwrap(),
            }
        }
    }

    pub fn is_dismissed(&self, run: &RunId) -> bool {
        self.dismissed.lock().unwrap().contains(run)
    }

    /// From now on the agent of a run does not hear of a successor.
    pub fn deafen(&self, container: &str, generation: u32) {
        self.deaf.lock().unwrap().insert(RunId { container: container.to_owned(), generation });
    }

    /// The agent of a run will start the process, but its line breaks before it can tell, and for good.
    pub fn mute(&self, container: &str, generation: u32) {
        self.mute.lock().unwrap().insert(RunId { container: container.to_owned(), generation });
    }

    pub fn is_mute(&self, run: &RunId) -> bool {
        self.mute.lock().unwrap().contains(run)
    }

    /// An agent was told that there is nothing to start.
    pub fn nothing(&self, run: &RunId) {
        self.idle.lock().unwrap().insert(run.clone());
    }

    /// Whether the agent of a first run was told that there is nothing to start.
    pub fn is_idle(&self, container: &str) -> bool {
        self.idle.lock().unwrap().contains(&RunId { container: container.to_owned(), generation: 1 })
    }

    /// How many bytes the agent of a first run is told are kept of its standard output.
    pub async fn kept(&self, container: &str) -> u64 {
        let run = RunId { container: container.to_owned(), generation: 1 };
        self.door(&run, None).await.events.kept(&run, Output::Stdout).await
    }

    /// The program of a run will not be there.
    pub fn break_program(&self, container: &str, generation: u32) {
        self.broken.lock().unwrap().insert(RunId { container: container.to_owned(), generation });
    }

    pub fn is_broken(&self, run: &RunId) -> bool {
        self.broken.lock().unwrap().contains(run)
    }

    /// The cloud tells the agent of an ended run to go.
    pub async fn leave(&self, container: &str, generation: u32) {
        let run = RunId { container: container.to_owned(), generation };
        let door = self.state.borrow()[&run].clone();
        door.events.leaving(&run).await;
    }

    /// Whose agents are awaited.
    pub fn awaited(&self, container: &str) -> Vec<u32> {
        let doors = self.state.borrow();
        let mut all: Vec<u32> =
            doors.keys().filter(|run| run.container == container).map(|run| run.generation).collect();
        all.sort_unstable();
        all
    }

    /// Whether the agent of a run is connected.
    pub fn connected(&self, container: &str, generation: u32) -> bool {
        self.is_connected(&RunId { container: container.to_owned(), generation })
    }

    pub fn is_open(&self, run: &RunId, number: u64) -> bool {
        self.state.borrow().get(run).is_some_and(|door| door.number == number)
    }

    /// Reaches the agent of a first run, past the daemon.
    pub async fn signal_from_within(&self, container: &str, signal: i32) {
        let run = RunId { container: container.to_owned(), generation: 1 };
        self.agents.lock().unwrap()[&run].send(Order::Signal(signal)).unwrap();
        tokio::task::yield_now().await;
    }

    /// Nothing reaches the process of a first run any more, although its agent's line stays up.
    pub fn stall(&self, container: &str) {
        let run = RunId { container: container.to_owned(), generation: 1 };
        let (deaf, _) = mpsc::unbounded_channel();
        let deaf = std::mem::replace(self.agents.lock().unwrap().get_mut(&run).unwrap(), deaf);
        self.stalled.lock().unwrap().insert(run, deaf);
    }

    /// The process of a first run is reached again.
    pub fn recover(&self, container: &str) {
        let run = RunId { container: container.to_owned(), generation: 1 };
        let before = self.stalled.lock().unwrap().remove(&run).unwrap();
        self.agents.lock().unwrap().insert(run, before);
    }

    /// The agent of a first run hears nothing any more, and its line is down.
    pub async fn hang(&self, container: &str) {
        self.stall(container);
        let run = RunId { container: container.to_owned(), generation: 1 };
        let door = self.state.borrow()[&run].clone();
        self.connect(&run, false);
        door.events.line(&run, false).await;
    }

    pub fn connect(&self, run: &RunId, up: bool) {
        self.state.send_modify(|doors| {
            if let Some(door) = doors.get_mut(run) {
                door.connected = up;
            }
        });
    }

    /// Waits until the line is up.
    async fn up(&self, run: &RunId) -> Result<(), LinkError> {
        let mut state = self.state.subscribe();
        let there = |doors: &HashMap<RunId, Door>| doors.get(run).is_none_or(|door| door.connected);
        let doors = state.wait_for(there).await.map_err(|_| LinkError::Unknown)?;
        doors.contains_key(run).then_some(()).ok_or(LinkError::Unknown)
    }

    fn send(&self, run: &RunId, order: Order) -> Result<(), LinkError> {
        if !self.state.borrow().contains_key(run) {
            return Err(LinkError::Unknown);
        }
        match self.agents.lock().unwrap().get(run) {
            Some(agent) => agent.send(order).map_err(|_| LinkError::Closed),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Link for FakeLink {
    fn callback_url(&self) -> Option<String> {
        self.callback.clone()
    }

    fn admit(&self, admission: Admission, events: Arc<dyn AgentEvents>) {
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.state.send_modify(|doors| {
            let door = Door { admission, events, number, connected: false, next: None };
            doors.insert(door.admission.run.clone(), door);
        });
    }

    fn dismiss(&self, run: &RunId) {
        self.dismissed.lock().unwrap().insert(run.clone());
        self.state.send_modify(|doors| {
            doors.remove(run);
        });
        self.channels.dismiss(run);
    }

    fn is_connected(&self, run: &RunId) -> bool {
        self.state.borrow().get(run).is_some_and(|door| door.connected)
    }

    async fn write_stdin(&self, run: &RunId, bytes: Bytes) -> Result<(), LinkError> {
        self.send(run, Order::Stdin(bytes))
    }

    async fn close_stdin(&self, run: &RunId) -> Result<(), LinkError> {
        self.send(run, Order::CloseStdin)
    }

    async fn signal(&self, run: &RunId, signal: i32) -> Result<(), LinkError> {
        self.send(run, Order::Signal(signal))
    }

    async fn resize(&self, run: &RunId, size: TerminalSize) -> Result<(), LinkError> {
        self.send(run, Order::Resize(size))
    }

    async fn open(&self, run: &RunId, request: Request) -> Result<(Reply, Box<dyn Channel>), LinkError> {
        self.up(run).await?;
        let end = self.channels.open(run, request);
        Ok((end.reply().await?, Box::new(end)))
    }

    async fn adopt(&self, run: &RunId, exec: &str) -> Result<Box<dyn Channel>, LinkError> {
        self.up(run).await?;
        Ok(Box::new(self.channels.adopt(run, exec).ok_or(LinkError::Closed)?))
    }

    fn succeed(&self, run: &RunId, next: Admission, events: Arc<dyn AgentEvents>) -> Result<(), LinkError> {
        if !self.state.borrow().contains_key(run) {
            return Err(LinkError::Unknown);
        }
        let successor = next.run.clone();
        self.admit(next, events);
        self.state.send_modify(|doors| {
            if let Some(door) = doors.get_mut(run) {
                door.next = Some(successor);
            }
        });
        Ok(())
    }

    fn join(&self, mesh: Arc<dyn Mesh>) {
        // Another daemon has another one.
        *self.mesh.lock().unwrap() = Some(mesh);
    }

    fn refresh(&self, run: &RunId) {
        self.refreshed.send_modify(|refreshed| refreshed.push(run.clone()));
    }
}

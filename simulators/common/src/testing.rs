//! For the tests of the clouds: a runner that plays containers, so that they ask no kernel, and what a simulator answered.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use sockerless_executor::{Probe, TaskEvent, TaskSpec};
use tokio::sync::{Notify, mpsc};

use crate::runner::{Instance, Runner, Running, Stop};

type Script = Arc<dyn Fn(&TaskSpec) -> Vec<TaskEvent> + Send + Sync>;

/// Plays a script for each task. A script without an end waits to be stopped and ends by SIGTERM then.
#[derive(Clone)]
pub struct Fake {
    script: Script,
    /// All tasks so far.
    pub specs: Arc<Mutex<Vec<TaskSpec>>>,
    /// All probes so far.
    pub probes: Arc<Mutex<Vec<Probe>>>,
    /// How many probes fail before one is answered.
    pub silent: Arc<Mutex<usize>>,
    /// Instances that were closed.
    pub closed: Arc<Mutex<usize>>,
    /// The grace of each stop.
    pub stops: Arc<Mutex<Vec<Duration>>>,
    /// Names that containers know.
    pub hosts: Arc<Mutex<Vec<String>>>,
    /// Said when a task has started.
    pub started: Arc<Notify>,
}

impl Default for Fake {
    fn default() -> Self {
        Self::playing(|spec| match spec.command.first().map(String::as_str) {
            Some("sleep") => vec![started()],
            Some("exit") => vec![started(), exited(spec.command[1].parse().unwrap())],
            Some("kill") => {
                let signal = spec.command[1].parse().ok();
                vec![started(), TaskEvent::Exited { exit_code: None, signal, out_of_memory: false }]
            }
            _ => vec![started(), output(false, "out\n"), output(true, "err\n"), exited(0)],
        })
    }
}

impl Fake {
    pub fn playing(script: impl Fn(&TaskSpec) -> Vec<TaskEvent> + Send + Sync + 'static) -> Self {
        Self {
            script: Arc::new(script),
            specs: Arc::default(),
            probes: Arc::default(),
            silent: Arc::default(),
            closed: Arc::default(),
            stops: Arc::default(),
            hosts: Arc::default(),
            started: Arc::default(),
        }
    }

    /// One whose servers answer no probe at first.
    pub fn silent(probes: usize) -> Self {
        Self { silent: Arc::new(Mutex::new(probes)), ..Self::default() }
    }

    /// The only task.
    pub fn spec(&self) -> TaskSpec {
        let specs = self.specs.lock().unwrap();
        assert_eq!(specs.len(), 1);
        specs[0].clone()
    }
}

pub fn started() -> TaskEvent {
    TaskEvent::Started { pid: 1, address: IpAddr::from([10, 0, 0, 2]) }
}

pub fn output(stderr: bool, text: &str) -> TaskEvent {
    TaskEvent::Output { stderr, time: SystemTime::now(), bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

pub fn exited(code: i32) -> TaskEvent {
    TaskEvent::Exited { exit_code: Some(code), signal: None, out_of_memory: false }
}

struct Stopper(Arc<Notify>, Arc<Mutex<Vec<Duration>>>);

impl Stop for Stopper {
    fn stop(&self, grace: Duration) {
        self.1.lock().unwrap().push(grace);
        self.0.notify_one();
    }
}

#[async_trait]
impl Runner for Fake {
    fn run(&self, spec: TaskSpec) -> Result<Running, String> {
        let events = (self.script)(&spec);
        self.specs.lock().unwrap().push(spec);
        let (sender, receiver) = mpsc::channel(16);
        let (stopped, started) = (Arc::new(Notify::new()), self.started.clone());
        let stop = Box::new(Stopper(stopped.clone(), self.stops.clone()));
        tokio::spawn(async move {
            let ends = matches!(events.last(), Some(TaskEvent::Exited { .. } | TaskEvent::Failed { .. }));
            for event in events {
                let _ = sender.send(event).await;
            }
            started.notify_one();
            if !ends {
                stopped.notified().await;
                let _ = sender
                    .send(TaskEvent::Exited { exit_code: None, signal: Some(15), out_of_memory: false })
                    .await;
            }
        });
        Ok(Running { events: receiver, stop })
    }

    async fn instance(&self) -> Result<Arc<dyn Instance>, String> {
        Ok(Arc::new(self.clone()))
    }

    fn host_address(&self) -> IpAddr {
        IpAddr::from([10, 0, 0, 1])
    }

    fn bind_address(&self) -> IpAddr {
        IpAddr::from([10, 0, 0, 1])
    }

    fn add_host(&self, _: IpAddr, names: &str) -> Result<(), String> {
        self.hosts.lock().unwrap().push(names.to_owned());
        Ok(())
    }

    fn remove_host(&self, _: IpAddr, names: &str) {
        self.hosts.lock().unwrap().retain(|known| known != names);
    }

    async fn shutdown(&self) {}
}

#[async_trait]
impl Instance for Fake {
    fn run(&self, spec: TaskSpec) -> Result<Running, String> {
        Runner::run(self, spec)
    }

    async fn probe(&self, probe: &Probe, _: Duration) -> Result<(), String> {
        self.probes.lock().unwrap().push(probe.clone());
        let mut silent = self.silent.lock().unwrap();
        if *silent == 0 {
            return Ok(());
        }
        *silent -= 1;
        Err("Connection refused".to_owned())
    }

    async fn close(&self) {
        *self.closed.lock().unwrap() += 1;
    }
}

/// What a simulator answered.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    /// Reads a response to its end.
    pub async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Self { status: parts.status, headers: parts.headers, bytes }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

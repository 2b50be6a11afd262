//! A runner that plays containers.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use sockerless_executor::{TaskEvent, TaskSpec};
use tokio::sync::{Notify, mpsc};

use crate::runner::{Runner, Running, Stop};

type Script = Box<dyn Fn(&TaskSpec) -> Vec<TaskEvent> + Send + Sync>;

/// Plays a script for each task. A script without an end waits to be stopped and ends by SIGTERM then.
pub struct Fake {
    script: Script,
    /// All tasks so far.
    pub specs: Mutex<Vec<TaskSpec>>,
    /// The grace of each stop.
    pub stops: Arc<Mutex<Vec<Duration>>>,
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
            script: Box::new(script),
            specs: Mutex::default(),
            stops: Arc::default(),
            started: Arc::default(),
        }
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

    fn host_address(&self) -> IpAddr {
        IpAddr::from([10, 0, 0, 1])
    }

    fn bind_address(&self) -> IpAddr {
        IpAddr::from([10, 0, 0, 1])
    }

    async fn shutdown(&self) {}
}

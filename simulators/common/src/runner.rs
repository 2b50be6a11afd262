//! Who really runs the containers: the executor, or a fake one in tests.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sockerless_executor::{Executor, Pod, Probe, TaskEvent, TaskHandle, TaskSpec};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Runs containers.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// Begins a task. What fails later arrives as an event.
    ///
    /// # Errors
    /// A sentence when the task cannot even be tried.
    fn run(&self, spec: TaskSpec) -> Result<Running, String>;

    /// Makes the instance for several containers: what they share. A runner need not have any.
    ///
    /// # Errors
    /// A sentence.
    async fn instance(&self) -> Result<Arc<dyn Instance>, String> {
        Err("Tasks of several containers cannot be run here.".to_owned())
    }

    /// Where a container finds this machine.
    fn host_address(&self) -> IpAddr;

    /// Where a server on this machine has to listen to be found there.
    fn bind_address(&self) -> IpAddr;

    /// Has all containers find an address under names, parted by blanks, those that run already among them. A runner need not be
    /// able to.
    ///
    /// # Errors
    /// A sentence.
    fn add_host(&self, _address: IpAddr, _names: &str) -> Result<(), String> {
        Ok(())
    }

    /// Containers that begin from now on do not find it any more.
    fn remove_host(&self, _address: IpAddr, _names: &str) {}

    /// Ends all tasks and gives back what they held.
    async fn shutdown(&self);
}

/// A network and volumes that containers share.
#[async_trait]
pub trait Instance: Send + Sync + 'static {
    /// As [`Runner::run`], in here.
    ///
    /// # Errors
    /// As [`Runner::run`].
    fn run(&self, spec: TaskSpec) -> Result<Running, String>;

    /// Asks a server in here once.
    ///
    /// # Errors
    /// What was amiss.
    async fn probe(&self, probe: &Probe, timeout: Duration) -> Result<(), String>;

    /// Carries a connection to a server in here, to its end. A runner need not be able to.
    ///
    /// # Errors
    /// What was amiss.
    async fn dial(&self, _port: u16, _stream: TcpStream) -> Result<(), String> {
        Err("Nothing in here can be dialled.".to_owned())
    }

    /// Ends it; to be called after all that ran in it.
    async fn close(&self);
}

/// A task that was begun.
pub struct Running {
    /// What happens, in order; the last one is `Exited` or `Failed`.
    pub events: mpsc::Receiver<TaskEvent>,
    /// Ends it.
    pub stop: Box<dyn Stop>,
}

/// Ends a task.
pub trait Stop: Send + Sync {
    /// SIGTERM now, SIGKILL after the grace; returns at once.
    fn stop(&self, grace: Duration);
}

impl Stop for TaskHandle {
    fn stop(&self, grace: Duration) {
        TaskHandle::stop(self, grace);
    }
}

/// The executor of this machine.
pub struct Machine(pub Arc<Executor>);

#[async_trait]
impl Runner for Machine {
    fn run(&self, spec: TaskSpec) -> Result<Running, String> {
        let task = self.0.run(spec).map_err(|error| error.to_string())?;
        let stop = Box::new(task.handle());
        Ok(Running { events: task.events, stop })
    }

    async fn instance(&self) -> Result<Arc<dyn Instance>, String> {
        let pod = self.0.pod().await.map_err(|error| error.to_string())?;
        Ok(Arc::new(Together { runner: Machine(self.0.clone()), pod }))
    }

    fn host_address(&self) -> IpAddr {
        self.0.host_address()
    }

    fn bind_address(&self) -> IpAddr {
        self.0.bind_address()
    }

    fn add_host(&self, address: IpAddr, names: &str) -> Result<(), String> {
        self.0.add_host(address, names).map_err(|error| error.to_string())
    }

    fn remove_host(&self, address: IpAddr, names: &str) {
        self.0.remove_host(address, names);
    }

    async fn shutdown(&self) {
        self.0.shutdown().await;
    }
}

/// A pod of the executor.
struct Together {
    runner: Machine,
    pod: Pod,
}

#[async_trait]
impl Instance for Together {
    fn run(&self, spec: TaskSpec) -> Result<Running, String> {
        self.runner.run(TaskSpec { pod: Some(self.pod.clone()), ..spec })
    }

    async fn probe(&self, probe: &Probe, timeout: Duration) -> Result<(), String> {
        self.pod.probe(probe, timeout).await
    }

    async fn dial(&self, port: u16, mut stream: TcpStream) -> Result<(), String> {
        let mut child = self.pod.dial(port).map_err(|error| error.to_string())?;
        let (Some(output), Some(input)) = (child.stdout.take(), child.stdin.take()) else {
            return Err("The connection's carrier has no ends.".to_owned());
        };
        let mut line = tokio::io::join(output, input);
        tokio::io::copy_bidirectional(&mut stream, &mut line).await.map_err(|error| error.to_string())?;
        Ok(())
    }

    async fn close(&self) {
        self.pod.close().await;
    }
}

/// What root has in a container, as Docker grants it (moby's default profile).
pub const CAPABILITIES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

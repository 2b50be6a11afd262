//! Tasks that share a network and folders, as the containers of one instance do in a cloud. All else is each task's own:
//! files, processes, host name, limits.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::process::Child;

use crate::{error::ExecutorError, executor::Inner, pool::Slot, stage::dial::Door};

/// A network for several tasks, and folders that they share. Cheap to clone.
///
/// The network is no task's, so that it outlives each of them: a prepared slot that never gets a task of its own holds
/// it.
#[derive(Debug, Clone)]
pub struct Pod(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    inner: Arc<Inner>,
    slot: Mutex<Option<Slot>>,
    network: PathBuf,
    address: IpAddr,
    /// Below `tasks`, so that what a killed executor leaves there is found; made with the first shared folder.
    folder: PathBuf,
}

/// A question to a server in a pod: whether it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Probe {
    /// A connection is accepted.
    Tcp {
        /// At the pod's address.
        port: u16,
    },
    /// A GET is answered with a status from 200 to 399.
    Http {
        /// At the pod's address.
        port: u16,
        /// Absolute, perhaps with a query.
        path: String,
        /// Names and values.
        headers: Vec<(String, String)>,
    },
}

/// What the stage is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    /// `/proc/PID/ns/net`
    pub network: PathBuf,
    /// The pod's address.
    pub address: IpAddr,
    pub probe: Probe,
    /// For all of it.
    pub timeout: Duration,
}

impl Pod {
    pub(crate) async fn open(inner: &Arc<Inner>) -> Result<Self, ExecutorError> {
        let slot = inner.pool.take().await?;
        let gone = || ExecutorError::system("a pod's network", io::Error::other("its keeper has ended"));
        let keeper = slot.keeper.id().ok_or_else(gone)?;
        Ok(Self(Arc::new(Shared {
            inner: Arc::clone(inner),
            network: PathBuf::from(format!("/proc/{keeper}/ns/net")),
            address: slot.lease.address.into(),
            folder: inner.state.join("tasks").join(format!("pod.{}", inner.count())),
            slot: Mutex::new(Some(slot)),
        })))
    }

    /// The address of all of its tasks.
    pub fn address(&self) -> IpAddr {
        self.0.address
    }

    /// Asks once.
    ///
    /// # Errors
    /// What was amiss, for a person.
    pub async fn probe(&self, probe: &Probe, timeout: Duration) -> Result<(), String> {
        let question = Question {
            network: self.0.network.clone(),
            address: self.0.address,
            probe: probe.clone(),
            timeout,
        };
        let question = serde_json::to_string(&question).map_err(|error| error.to_string())?;
        let stages = self.0.inner.images.stages();
        stages.stage("probe", [question], Stdio::null()).await.map_err(|error| error.to_string())?
    }

    /// Opens a connection to a server in here. The child's standard input and output carry it; it ends when the server has
    /// said all, or is not there, and with its handle.
    ///
    /// # Errors
    /// The stage cannot be started.
    pub fn dial(&self, port: u16) -> io::Result<Child> {
        let door = Door { network: self.0.network.clone(), server: SocketAddr::new(self.0.address, port) };
        self.0.inner.images.stages().carry("dial", serde_json::to_string(&door)?)
    }

    /// Takes the network down and deletes the shared folders; to be called once its tasks have ended.
    pub async fn close(&self) {
        let slot = self.0.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(slot) = slot {
            slot.end().await;
        }
        if self.0.folder.exists() {
            self.0.inner.images.stages().remove(&[&self.0.folder]).await;
        }
    }

    pub(crate) fn network(&self) -> &Path {
        &self.0.network
    }

    /// A shared folder, which is made if it is missing. Everybody may write to it, as to a cloud's volumes in memory.
    pub(crate) fn folder(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.0.folder.join(name);
        if !path.exists() {
            fs::create_dir_all(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
        }
        Ok(path)
    }
}

//! Slots: prepared keepers, so that a task finds its namespaces, network and processes waiting.

use std::{
    collections::VecDeque,
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdStream},
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use nix::fcntl::{FcntlArg, fcntl};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{Child, ChildStderr, ChildStdout, Command},
    sync::{Notify, Semaphore},
};

use crate::{
    error::ExecutorError,
    network::{Lease, Network},
    stage::{
        protocol::{FromKeeper, Prepare, ToKeeper},
        stage_command,
    },
    tuning::{PIPE_CAPACITY, POOL_CONCURRENCY, POOL_RETRY, SLOT_TIMEOUT},
};

/// What every slot is made from.
#[derive(Debug)]
pub(crate) struct SlotMaker {
    pub program: PathBuf,
    pub scope: String,
    pub user_namespace: Option<PathBuf>,
    pub network: Arc<Network>,
}

/// A keeper that waits for a task. Dropping it ends the keeper and all in it.
#[derive(Debug)]
pub(crate) struct Slot {
    pub lease: Lease,
    pub stdout: ChildStdout,
    pub stderr: ChildStderr,
    pub control: KeeperLine,
    pub keeper: Child,
    /// What carries an ordinary user's network.
    pub network: Option<Child>,
}

/// The line to a keeper.
#[derive(Debug)]
pub(crate) struct KeeperLine {
    pub reader: KeeperReader,
    pub writer: KeeperWriter,
}

/// What a keeper says.
#[derive(Debug)]
pub(crate) struct KeeperReader(Lines<BufReader<OwnedReadHalf>>);

/// What it is told.
#[derive(Debug)]
pub(crate) struct KeeperWriter(OwnedWriteHalf);

impl KeeperReader {
    /// None when the keeper is gone.
    pub(crate) async fn receive(&mut self) -> io::Result<Option<FromKeeper>> {
        match self.0.next_line().await {
            Ok(Some(line)) => Ok(Some(serde_json::from_str(&line)?)),
            Ok(None) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl KeeperWriter {
    pub(crate) async fn send(&mut self, message: &ToKeeper) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.0.write_all(&line).await
    }
}

impl Slot {
    /// Hangs up and waits until the keeper is gone.
    pub(crate) async fn end(self) {
        let Self { control, mut keeper, stdout, stderr, .. } = self;
        drop((control, stdout, stderr));
        if let Err(error) = keeper.wait().await {
            tracing::warn!(%error, "a keeper cannot be waited for");
        }
    }
}

impl SlotMaker {
    /// # Errors
    /// [`ExecutorError::System`] and [`ExecutorError::Unsupported`], with what the keeper said.
    pub(crate) async fn make(&self) -> Result<Slot, ExecutorError> {
        tokio::time::timeout(SLOT_TIMEOUT, self.prepare()).await.unwrap_or_else(|_| {
            Err(failed(io::Error::new(
                io::ErrorKind::TimedOut,
                "preparing a container's namespaces takes too long",
            )))
        })
    }

    async fn prepare(&self) -> Result<Slot, ExecutorError> {
        let lease = self.network.lease()?;
        let (ours, theirs) = StdStream::pair().map_err(failed)?;
        let mut command = stage_command(&self.program, "keeper", &self.scope);
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut keeper = Command::from(command).spawn().map_err(failed)?;
        let (Some(stdout), Some(stderr)) = (keeper.stdout.take(), keeper.stderr.take()) else {
            return Err(failed(io::Error::other("no output pipes")));
        };
        // A smaller pipe is slower and no worse.
        let _ = fcntl(&stdout, FcntlArg::F_SETPIPE_SZ(PIPE_CAPACITY));
        let _ = fcntl(&stderr, FcntlArg::F_SETPIPE_SZ(PIPE_CAPACITY));

        ours.set_nonblocking(true).map_err(failed)?;
        let (reader, writer) = UnixStream::from_std(ours).map_err(failed)?.into_split();
        let mut slot = Slot {
            lease,
            stdout,
            stderr,
            control: KeeperLine {
                reader: KeeperReader(BufReader::new(reader).lines()),
                writer: KeeperWriter(writer),
            },
            keeper,
            network: None,
        };
        let prepare = ToKeeper::Prepare(Prepare {
            program: self.program.clone(),
            user_namespace: self.user_namespace.clone(),
            network: slot.lease.plan.clone(),
        });
        slot.control.writer.send(&prepare).await.map_err(failed)?;
        loop {
            match slot.control.reader.receive().await.map_err(failed)? {
                Some(FromKeeper::Ready) => return Ok(slot),
                Some(FromKeeper::Unshared) => {
                    let pid = slot.keeper.id().unwrap_or_default();
                    slot.network = self.network.connect(pid).await?;
                    slot.control.writer.send(&ToKeeper::Connected).await.map_err(failed)?;
                }
                Some(FromKeeper::Failed(failure)) => return Err(ExecutorError::Unsupported(failure.message)),
                Some(FromKeeper::Started(_) | FromKeeper::Exited { .. }) | None => {
                    return Err(failed(io::Error::other("the keeper ended while it was prepared")));
                }
            }
        }
    }
}

fn failed(error: io::Error) -> ExecutorError {
    ExecutorError::system("starting a container", error)
}

/// Keeps slots ready, and makes more on demand when there are none.
#[derive(Debug)]
pub(crate) struct Pool {
    maker: SlotMaker,
    size: usize,
    ready: Mutex<VecDeque<Slot>>,
    taken: Arc<Notify>,
    makers: Semaphore,
    closed: AtomicBool,
}

impl Pool {
    /// The first slot proves that this machine can run containers at all; the others follow in
    /// the background for as long as the pool is held.
    pub(crate) async fn open(maker: SlotMaker, size: usize) -> Result<Arc<Self>, ExecutorError> {
        let first = maker.make().await?;
        let pool = Arc::new(Self {
            maker,
            size,
            ready: Mutex::new(VecDeque::from([first])),
            taken: Arc::default(),
            makers: Semaphore::new(POOL_CONCURRENCY),
            closed: AtomicBool::new(false),
        });
        tokio::spawn(refill(Arc::downgrade(&pool)));
        Ok(pool)
    }

    pub(crate) async fn take(&self) -> Result<Slot, ExecutorError> {
        loop {
            let slot = self.locked().pop_front();
            self.taken.notify_one();
            match slot {
                // One that died while it waited is no use.
                Some(mut slot) => {
                    if matches!(slot.keeper.try_wait(), Ok(None)) {
                        return Ok(slot);
                    }
                }
                None => {
                    // Nobody closes the semaphore.
                    let _turn = self.makers.acquire().await;
                    return self.maker.make().await;
                }
            }
        }
    }

    /// Ends all waiting slots; there will be no more.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.taken.notify_one();
        let slots = std::mem::take(&mut *self.locked());
        for slot in slots {
            slot.end().await;
        }
    }

    fn put(&self, slot: Slot) {
        let mut ready = self.locked();
        if !self.closed.load(Ordering::Acquire) {
            ready.push_back(slot);
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, VecDeque<Slot>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.taken.notify_one();
    }
}

async fn refill(pool: Weak<Pool>) {
    let Some(taken) = pool.upgrade().map(|pool| Arc::clone(&pool.taken)) else { return };
    loop {
        // Held only while there is something to make, so that the pool can end.
        let Some(held) = pool.upgrade() else { return };
        if held.closed.load(Ordering::Acquire) {
            return;
        }
        if held.locked().len() >= held.size {
            drop(held);
            taken.notified().await;
            continue;
        }
        let made = {
            let _turn = held.makers.acquire().await;
            held.maker.make().await
        };
        match made {
            Ok(slot) => held.put(slot),
            Err(error) => {
                tracing::warn!(%error, "no container could be prepared");
                drop(held);
                tokio::time::sleep(POOL_RETRY).await;
            }
        }
    }
}

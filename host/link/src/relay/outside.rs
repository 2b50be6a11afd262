//! The end of a connection that leads out of the mesh: to the daemon's own API, or to the daemon's machine.

mod datagrams;

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use bytes::{Bytes, BytesMut};
use sockerless_agent_wire::mesh::Connected;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UdpSocket, UnixStream},
    sync::Notify,
    time::timeout,
};

use super::{Note, Peer, Word, deliver};
use crate::{run::Run, tuning};

/// Where a connection leads.
#[derive(Debug)]
pub enum Place {
    Unix(PathBuf),
    Tcp(SocketAddr),
    Udp(SocketAddr),
}

/// See the module. Bytes from the agent are held until the other side has taken them; it has no more under way than a window.
pub struct Outside {
    run: Weak<Run>,
    channel: u32,
    state: Mutex<State>,
    /// There may be bytes from the agent, or their end.
    bytes: Notify,
    /// More may be sent to the agent.
    room: Notify,
    /// The agent has hung up.
    over: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Bytes>,
    finished: bool,
    /// Sent to the agent, and not dealt with.
    under_way: usize,
    /// The agent takes no more.
    stopped: bool,
    hung_up: bool,
}

impl Outside {
    /// For a channel that a run's agent has opened.
    pub fn new(run: &Arc<Run>, channel: u32) -> Arc<Self> {
        Arc::new(Self {
            run: Arc::downgrade(run),
            channel,
            state: Mutex::default(),
            bytes: Notify::new(),
            room: Notify::new(),
            over: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the agent's half has.
    pub fn overhear(&self, word: &Word) {
        let mut state = self.state();
        let waits = match word {
            Word::Bytes(bytes) => {
                state.waiting.push_back(bytes.clone());
                &self.bytes
            }
            Word::Finish => {
                state.finished = true;
                &self.bytes
            }
            Word::DealtWith(count) => {
                let count = usize::try_from(*count).unwrap_or(usize::MAX);
                state.under_way = state.under_way.saturating_sub(count);
                &self.room
            }
            Word::Stop => {
                state.stopped = true;
                &self.room
            }
            Word::HungUp => {
                state.hung_up = true;
                &self.over
            }
            // Nobody says that to who was asked.
            Word::Connected(_) | Word::Gone(_) => return,
        };
        drop(state);
        waits.notify_one();
    }

    /// Connects, and carries bytes or datagrams until both sides have ended, or the agent hangs up.
    pub async fn carry(self: Arc<Self>, place: Place) {
        let carried = async {
            match &place {
                Place::Unix(path) => {
                    let Some(mut stream) = self.connect(UnixStream::connect(path)).await else { return };
                    let (reader, writer) = stream.split();
                    self.bytes(reader, writer).await;
                }
                Place::Tcp(to) => {
                    let Some(mut stream) = self.connect(TcpStream::connect(to)).await else { return };
                    // What was sent at once shall arrive at once.
                    let _ = stream.set_nodelay(true);
                    let (reader, writer) = stream.split();
                    self.bytes(reader, writer).await;
                }
                Place::Udp(to) => {
                    let Some(socket) = self.connect(socket(*to)).await else { return };
                    self.say(Word::Gone(datagrams::carry(&self, &socket).await.is_err()));
                }
            }
        };
        tokio::select! {
            () = carried => {}
            () = self.hung_up() => {}
        }
    }

    async fn hung_up(&self) {
        loop {
            let over = self.over.notified();
            if self.state().hung_up {
                return;
            }
            over.await;
        }
    }

    /// Says what came of it.
    async fn connect<T>(&self, connecting: impl Future<Output = io::Result<T>>) -> Option<T> {
        let (outcome, connected) = match timeout(tuning::OUTSIDE, connecting).await {
            Ok(Ok(connected)) => (Connected::Open { credit: 0 }, Some(connected)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a connection out of the mesh");
                let refused = matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionRefused
                        | io::ErrorKind::NotFound
                        | io::ErrorKind::PermissionDenied
                );
                (if refused { Connected::Refused } else { Connected::Unreachable }, None)
            }
            Err(_) => (Connected::TimedOut, None),
        };
        self.say(Word::Connected(outcome));
        connected
    }

    fn say(&self, word: Word) {
        deliver([Note { to: Peer::Run(self.run.clone()), channel: self.channel, word }]);
    }

    /// Both directions, each to its end.
    async fn bytes(&self, reader: impl AsyncRead + Unpin, writer: impl AsyncWrite + Unpin) {
        let both = tokio::try_join!(self.inward(reader), self.outward(writer));
        self.say(Word::Gone(both.is_err()));
    }

    async fn inward(&self, mut reader: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut buffer = BytesMut::new();
        while let Some(room) = self.room().await {
            buffer.reserve(tuning::READ);
            match (&mut reader).take(room as u64).read_buf(&mut buffer).await? {
                0 => {
                    self.say(Word::Finish);
                    break;
                }
                _ => self.send(buffer.split().freeze()),
            }
        }
        Ok(())
    }

    async fn outward(&self, mut writer: impl AsyncWrite + Unpin) -> io::Result<()> {
        while let Some(bytes) = self.next().await {
            if writer.write_all(&bytes).await.is_err() {
                // It hears no more; what it says still counts, and shows how it ended.
                self.say(Word::Stop);
                return Ok(());
            }
            self.dealt_with(bytes.len());
        }
        // It may be gone already.
        let _ = writer.shutdown().await;
        Ok(())
    }

    /// How many more bytes may be sent to the agent, at least one; none if it takes no more.
    async fn room(&self) -> Option<usize> {
        loop {
            let more = self.room.notified();
            {
                let state = self.state();
                if state.stopped {
                    return None;
                }
                match tuning::OUTSIDE_WINDOW.saturating_sub(state.under_way) {
                    0 => {}
                    room => return Some(room),
                }
            }
            more.await;
        }
    }

    fn dealt_with(&self, count: usize) {
        self.say(Word::DealtWith(count as u64));
    }

    fn send(&self, bytes: Bytes) {
        self.state().under_way += bytes.len();
        self.say(Word::Bytes(bytes));
    }

    /// The next bytes from the agent; none at their end.
    async fn next(&self) -> Option<Bytes> {
        loop {
            let more = self.bytes.notified();
            {
                let mut state = self.state();
                if let Some(bytes) = state.waiting.pop_front() {
                    return Some(bytes);
                }
                if state.finished {
                    return None;
                }
            }
            more.await;
        }
    }
}

/// A socket that talks to one place.
async fn socket(to: SocketAddr) -> io::Result<UdpSocket> {
    let any = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind::<SocketAddr>(any).await?;
    socket.connect(to).await?;
    Ok(socket)
}

//! The sockets that do not go where their program believes.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use crate::{caller::Signature, tuning};

/// Known to the watching thread and the runtime. No socket is held: a program's close is a close.
#[derive(Debug, Default)]
pub(crate) struct Table {
    inner: Mutex<Inner>,
    /// How many there are, without the lock.
    datagrams: AtomicUsize,
}

#[derive(Debug, Default)]
struct Inner {
    /// By the kernel's number of the socket.
    streams: HashMap<u64, Stream>,
    /// Who a UDP socket believes to be connected to, if to anybody.
    datagrams: HashMap<u64, Option<SocketAddr>>,
    /// What the ports of our own UDP sockets on 127.0.0.1 stand for.
    relays: HashMap<u16, SocketAddr>,
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    peer: SocketAddr,
    /// The call that was told of it, and when.
    told: Option<(Signature, Instant)>,
    /// Both directions have ended, since then; the program may still ask who it was.
    ended: Option<Instant>,
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, inner: &Inner) {
        self.datagrams.store(inner.datagrams.len(), Ordering::Release);
    }

    /// Whether any UDP socket is redirected: most programs have none, and this costs nothing.
    pub(crate) fn any_datagrams(&self) -> bool {
        self.datagrams.load(Ordering::Acquire) > 0
    }

    pub(crate) fn insert_stream(&self, inode: u64, peer: SocketAddr) {
        self.lock().streams.insert(inode, Stream { peer, told: None, ended: None });
    }

    pub(crate) fn remove_stream(&self, inode: u64) {
        self.lock().streams.remove(&inode);
    }

    /// Both directions have ended.
    pub(crate) fn end_stream(&self, inode: u64) {
        if let Some(stream) = self.lock().streams.get_mut(&inode) {
            stream.ended = Some(Instant::now());
        }
    }

    /// Whether the socket is connected and a call is to be told so: the first, and the same again at once. The kernel may interrupt a
    /// call although it has taken our answer, and then makes it again.
    pub(crate) fn tell(&self, inode: u64, call: Signature) -> bool {
        let mut inner = self.lock();
        let Some(stream) = inner.streams.get_mut(&inode).filter(|stream| stream.ended.is_none()) else {
            return false;
        };
        let again = |(told, at): (Signature, Instant)| told == call && at.elapsed() < tuning::AGAIN;
        let tell = stream.told.is_none_or(again);
        if tell {
            stream.told = Some((call, Instant::now()));
        }
        tell
    }

    /// The program was interrupted when it should have heard.
    pub(crate) fn untell(&self, inode: u64) {
        if let Some(stream) = self.lock().streams.get_mut(&inode) {
            stream.told = None;
        }
    }

    /// Who a socket's program believes to be connected to.
    pub(crate) fn peer(&self, inode: u64) -> Option<SocketAddr> {
        let inner = self.lock();
        let stream = inner.streams.get(&inode).map(|stream| stream.peer);
        stream.or_else(|| inner.datagrams.get(&inode).copied().flatten())
    }

    pub(crate) fn insert_datagrams(&self, inode: u64, peer: Option<SocketAddr>) {
        let mut inner = self.lock();
        inner.datagrams.insert(inode, peer);
        self.count(&inner);
    }

    /// Keeps who it is connected to, if it is known.
    pub(crate) fn note_datagrams(&self, inode: u64) {
        let mut inner = self.lock();
        inner.datagrams.entry(inode).or_default();
        self.count(&inner);
    }

    pub(crate) fn has_datagrams(&self, inode: u64) -> bool {
        self.any_datagrams() && self.lock().datagrams.contains_key(&inode)
    }

    /// The kernel connects the socket elsewhere, or not at all any more.
    pub(crate) fn disconnect(&self, inode: u64) {
        if let Some(peer) = self.lock().datagrams.get_mut(&inode) {
            *peer = None;
        }
    }

    pub(crate) fn insert_relay(&self, port: u16, to: SocketAddr) {
        self.lock().relays.insert(port, to);
    }

    pub(crate) fn remove_relay(&self, port: u16) {
        self.lock().relays.remove(&port);
    }

    /// Who a sender on this machine stands for.
    pub(crate) fn relayed(&self, sender: SocketAddr) -> Option<SocketAddr> {
        (sender.ip() == Ipv4Addr::LOCALHOST).then(|| self.lock().relays.get(&sender.port()).copied())?
    }

    /// Forgets UDP sockets that are closed, and TCP ones whose connection ended a while ago: the kernel gives their numbers
    /// to no others in that time. Who the UDP sockets are connected to.
    pub(crate) fn sweep(&self) -> BTreeSet<SocketAddr> {
        let known: Vec<u64> = {
            let mut inner = self.lock();
            inner.streams.retain(|_, stream| stream.ended.is_none_or(|at| at.elapsed() < tuning::ENDED));
            inner.datagrams.keys().copied().collect()
        };
        if known.is_empty() {
            return BTreeSet::new();
        }
        let open = open_datagrams();
        let mut inner = self.lock();
        // What has come meanwhile is not looked at, since the kernel's list may be older.
        for inode in known.iter().filter(|inode| !open.contains(inode)) {
            inner.datagrams.remove(inode);
        }
        self.count(&inner);
        inner.datagrams.values().copied().flatten().collect()
    }
}

/// The kernel's numbers of all UDP sockets that have a port.
fn open_datagrams() -> BTreeSet<u64> {
    let lists = ["/proc/net/udp", "/proc/net/udp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let inode = |line: &str| line.split_ascii_whitespace().nth(9)?.parse().ok();
    lists.iter().flat_map(|list| list.lines().filter_map(inode)).collect()
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, os::fd::AsFd};

    use super::*;

    fn inode(socket: impl AsFd) -> u64 {
        rustix::fs::fstat(socket).expect("a socket").st_ino
    }

    #[test]
    fn closed_sockets_are_forgotten_and_open_ones_kept() {
        let table = Table::default();
        let [open, closed] = [(); 2].map(|()| UdpSocket::bind(("127.0.0.1", 0)).expect("bound"));
        let peer: SocketAddr = ([172, 18, 0, 3], 53).into();
        table.insert_datagrams(inode(&open), Some(peer));
        table.insert_datagrams(inode(&closed), None);
        let gone = inode(&closed);
        drop(closed);
        assert_eq!(table.sweep(), BTreeSet::from([peer]));
        assert!(table.has_datagrams(inode(&open)));
        assert!(!table.has_datagrams(gone));
    }

    #[test]
    fn a_connected_stream_is_told_to_one_call_unless_the_program_did_not_hear() {
        let table = Table::default();
        table.insert_stream(7, ([172, 18, 0, 3], 80).into());
        assert!(table.tell(7, [1; 9]));
        assert!(table.tell(7, [1; 9]));
        assert!(!table.tell(7, [2; 9]));
        table.untell(7);
        assert!(table.tell(7, [2; 9]));
        table.remove_stream(7);
        assert!(!table.tell(7, [2; 9]));
        assert_eq!(table.peer(7), None);
    }

    #[test]
    fn a_stream_that_has_ended_is_known_by_name_and_connected_no_more() {
        let table = Table::default();
        let peer: SocketAddr = ([172, 18, 0, 3], 80).into();
        table.insert_stream(7, peer);
        table.end_stream(7);
        table.sweep();
        assert_eq!(table.peer(7), Some(peer));
        assert!(!table.tell(7, [1; 9]));
        table.insert_stream(7, peer);
        assert!(table.tell(7, [1; 9]));
    }

    #[test]
    fn only_localhost_stands_for_others() {
        let table = Table::default();
        let to: SocketAddr = ([172, 18, 0, 3], 5353).into();
        table.insert_relay(4000, to);
        assert_eq!(table.relayed(([127, 0, 0, 1], 4000).into()), Some(to));
        assert_eq!(table.relayed(([127, 0, 0, 2], 4000).into()), None);
        assert_eq!(table.relayed(([127, 0, 0, 1], 4001).into()), None);
    }
}

//! All numbers of the mesh.

use std::time::Duration;

/// A program's `connect` to a peer gets its answer within this: Linux itself gives up after about two minutes, most
/// programs after 30 s or less.
pub const DIAL: Duration = Duration::from_secs(30);
/// An exchange of datagrams ends after this long without one, as a NAT router would forget it.
pub const FLOW: Duration = Duration::from_secs(120);
/// The kernel joins two sockets of this machine at once; longer means that it never will.
pub(crate) const ADMIT: Duration = Duration::from_secs(5);
/// Programs' sockets that are being joined at once: fewer than the least queue of a listener (128).
pub(crate) const ADMISSIONS: usize = 64;
/// Connections to our listener that nobody has announced are kept this long.
pub(crate) const STRAY: Duration = Duration::from_secs(1);
/// Between two looks whether a thread still waits for a datagram.
pub(crate) const WAITING: Duration = Duration::from_millis(250);
/// Between two looks for closed UDP sockets.
pub(crate) const SWEEP: Duration = Duration::from_secs(10);

/// Who a connection was with is known this long after its end.
pub(crate) const ENDED: Duration = Duration::from_secs(600);

/// One read of a connection, bytes; all connections share the buffer.
pub(crate) const PIECE: usize = 64 << 10;
/// The largest datagram, bytes.
pub(crate) const DATAGRAM: usize = 65_535;
/// Calls whose answer was not heard, remembered at most.
pub(crate) const UNHEARD: usize = 64;

/// Ports of the kernel's own choice end below; few programs choose one above.
pub(crate) const PORTS: std::ops::RangeInclusive<u16> = 61_001..=65_534;
/// Stack of the watching thread, bytes: it keeps little.
pub(crate) const STACK: usize = 128 << 10;

/// What a name's addresses may be kept for, in seconds: as the zones in the cloud.
pub(crate) const TTL: u32 = 10;
/// Addresses in one answer: more do not fit into 512 bytes, which every resolver takes.
pub(crate) const ADDRESSES: usize = 24;
/// What another name server gets to answer; resolvers themselves wait for 5 s and ask again.
pub(crate) const FORWARD: Duration = Duration::from_secs(10);
/// The next of several name servers is asked after this: resolvers themselves give up after 5 s.
pub(crate) const NEXT_SERVER: Duration = Duration::from_secs(2);
/// Questions that other name servers are being asked at once; more are lost.
pub(crate) const FORWARDS: usize = 256;
/// Without descriptors, until the next try to accept.
pub(crate) const RETRY: Duration = Duration::from_millis(10);
/// Pieces of one direction before the other connections have their turn.
pub(crate) const SHARE: usize = 16;
/// A trial call is caught within this.
pub(crate) const TRIAL: Duration = Duration::from_secs(1);
/// Between two looks whether another name server's machine has refused a question.
pub(crate) const REFUSED: Duration = Duration::from_millis(50);
/// An interrupted call is made again within this: at once, after the signal's handler.
pub(crate) const AGAIN: Duration = Duration::from_secs(1);
/// A socket that does not block hears of a quick dial at once, and of a slower one as the kernel would tell it: a program's
/// loop stands still no longer than this.
pub const HASTE: Duration = Duration::from_millis(10);

/// On the rung `loopback`: until the next try to listen where the container's own server listens, and to ask a peer that has not
/// answered.
pub(crate) const AGAIN_LOOPBACK: Duration = Duration::from_secs(1);

/// On the rung `tun`: the largest packet, bytes. A datagram is never parted, and few packets carry much.
pub(crate) const MTU: u32 = 65_535;
/// Packets that are taken before others have their turn.
pub(crate) const PACKETS: usize = 64;
/// What is known of a connection stays this long after its end, for the last packets: as `TIME_WAIT`.
pub(crate) const REST: Duration = Duration::from_secs(60);
/// Connections that wait to be accepted: as the kernel's own most.
pub(crate) const BACKLOG: i32 = 4096;
/// Datagrams of one exchange that wait on either side; more are lost.
pub(crate) const WAITING_DATAGRAMS: usize = 64;

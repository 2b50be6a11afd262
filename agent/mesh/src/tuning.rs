//! All numbers of the mesh.

use std::time::Duration;

/// A program's `connect` to a peer gets its answer within this: Linux itself gives up after about two minutes, most
/// programs after 30 s or less.
pub const DIAL: Duration = Duration::from_secs(30);
/// An exchange of datagrams ends after this long without one, as a NAT router would forget it.
pub const FLOW: Duration = Duration::from_secs(120);

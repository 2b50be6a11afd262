//! The part of the agent that catches a container's connections to virtual addresses.
//!
//! A container's networks are virtual: its peers have addresses that no kernel on the way knows. The rung `seccomp` works with what any
//! container has: the process gets a [`Filter`] before it becomes the container's, which stops it in `connect`, `sendto` and
//! friends and tells the agent by a listener; the agent's [`Mesh`] reads the address, connects by its [`Fabric`], joins the
//! program's own socket to that, and lets the call return. Data flows without being caught. What is not for a virtual
//! address goes on at once. Questions to any name server (UDP and TCP, port 53) are answered for the names of the mesh, and handed on
//! for all others.
//!
//! How it is wired
//! 1. The stage process: [`Filter::install_and_send`] on its line to the agent, before it changes its user.
//! 2. The agent: [`filter::receive`] in the place of a read gives the listener, [`Mesh::watch`] takes it. One filter and listener for each
//!    process that a stage becomes (the container's, and each exec's).
//! 3. Once, in the agent's `LocalSet`: [`Mesh::start`] with its [`Fabric`] and the [`Addresses`], which it changes as it is told.
//! 4. Connections *from* peers: connect from [`shadow`] of the peer's address to [`shadow`] of the container's own, and never to
//!    127.0.0.1: what listens there alone is not exposed.
//!
//! What differs from a network
//! - A socket that does not block hears of a dial of up to [`tuning::HASTE`] in `connect` itself, and of a slower one as usual; then
//!   whatever went wrong is `ECONNREFUSED`, up to a second later.
//! - Who accepts a connection from a peer sees the peer's [`shadow`] from `accept` (127.146.0.3 for 172.18.0.3), and its virtual
//!   address from `getpeername`.
//! - Datagrams to a peer that is not there are lost without an error. TCP Fast Open is answered with `EOPNOTSUPP`.
//! - Not caught, so without the mesh: calls by `io_uring`, of 32-bit programs, in network namespaces that a program makes; raw and ICMP
//!   sockets (`ping`); and those of processes at which the agent may not look ([`Probe::warnings`]).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod addresses;
mod caller;
mod calls;
mod dns;
pub mod fabric;
pub mod filter;
mod kernel;
pub mod loopback;
mod mesh;
pub mod probe;
mod relay;
mod table;
pub mod tun;
pub mod tuning;
mod watch;

pub use addresses::{Addresses, Network, shadow};
pub use fabric::{Datagrams, Fabric, Refusal};
pub use filter::{Filter, Privileges};
pub use loopback::Loopback;
pub use mesh::Mesh;
pub use probe::{Probe, probe};
pub use tun::Tun;

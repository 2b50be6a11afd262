//! The program that has called, seen from outside.

mod call;
mod header;
mod memory;
mod name;
mod owner;
mod socket;

pub(crate) use call::{Call, Signature};
pub(crate) use header::{Header, MESSAGE_LENGTH, Vectored};
pub(crate) use memory::Piece;
pub(crate) use name::{Name, decode, encode};
pub(crate) use socket::{Kind, Socket};

//! Bindings for version 0.1 of the contract, and its translation to the newest types.
//!
//! A later version gets a folder beside this one; this one is then translated to it, and only
//! `guest.rs` of the newest speaks the types of `sockerless_ports`.

mod bindings;
mod from_guest;
mod guest;
mod imports;
mod to_guest;

pub(crate) use guest::Component;
pub(crate) use imports::add_to_linker;

//! What is done for calls that are for the mesh.

mod bind;
mod connect;
mod receive;
mod send;
mod unheard;

pub(crate) use connect::Pending;
pub(crate) use unheard::Unheard;

//! The one way out of a plugin: HTTP to granted hosts, signed by the host.

mod address;
mod client;
mod credential;
mod error;
mod grant;
mod hooks;
mod proxy;
mod send;

pub(crate) use client::Clients;
pub(crate) use credential::Placeholders;
pub(crate) use grant::Grants;
pub(crate) use hooks::Hooks;
pub use proxy::Proxies;

//! Write a backend for Sockerless: one WebAssembly component that drives one cloud.
//!
//! A backend is a type with four traits: [`Plugin`] (who it is, its settings, its checks),
//! [`Jobs`], [`Dns`] and [`Storage`]. Every function of the last three has a body that answers
//! `unsupported`, so begin with what your cloud can do. Then [`export!`] makes it a component.
//!
//! ```
//! use std::rc::Rc;
//!
//! use serde_json::json;
//! use sockerless_plugin_sdk::{
//!     Dns, Host, Jobs, Plugin, Request, Result, Settings, Storage,
//!     jobs::{Handle, Spec},
//!     plugin::{Feature, HttpGrant, ImageSources, Limits, Manifest, Setting},
//! };
//!
//! struct Acme {
//!     host: Rc<dyn Host>,
//!     endpoint: String,
//! }
//!
//! impl Plugin for Acme {
//!     fn describe() -> Manifest {
//!         Manifest {
//!             name: "acme".into(),
//!             version: env!("CARGO_PKG_VERSION").into(),
//!             description: "Acme Cloud tasks".into(),
//!             settings: vec![Setting {
//!                 name: "endpoint".into(),
//!                 environment: "SOCKERLESS_ACME_ENDPOINT".into(),
//!                 description: "The address of the Acme API".into(),
//!                 required: true,
//!                 default: None,
//!             }],
//!             http: vec![HttpGrant { host: "setting:endpoint".into(), credentials: vec!["acme".into()] }],
//!             features: Feature::START_ON_CREATE,
//!             limits: Limits {
//!                 max_timeout_seconds: 3600,
//!                 cpu_millis: (250, 4000),
//!                 memory_bytes: (64 << 20, 8 << 30),
//!                 stop_grace_seconds: 10,
//!                 max_env: 100,
//!             },
//!             sizes: vec![],
//!             volumes: None,
//!         }
//!     }
//!
//!     fn new(host: Rc<dyn Host>) -> Result<Self> {
//!         let manifest = Self::describe();
//!         let endpoint = Settings::new(&*host, &manifest).url("endpoint")?;
//!         Ok(Self { host, endpoint })
//!     }
//!
//!     fn images(&self) -> Result<ImageSources> {
//!         Ok(ImageSources {
//!             direct: vec!["docker.io".into()],
//!             repository: None,
//!             credential: None,
//!             platforms: vec!["linux/amd64".into()],
//!         })
//!     }
//! }
//!
//! impl Jobs for Acme {
//!     fn create(&self, spec: Spec) -> Result<Handle> {
//!         let url = format!("{}/tasks", self.endpoint);
//!         let image = &spec.containers[0].image;
//!         let request = Request::post(&url).credential("acme").json(&json!({"name": spec.name, "image": image}));
//!         let answer = self.host.send(&request)?;
//!         answer.success("creating the task", self.host.now())?;
//!         Ok(Handle { name: spec.name, state: String::new(), started: spec.start })
//!     }
//! }
//!
//! impl Dns for Acme {}
//! impl Storage for Acme {}
//!
//! sockerless_plugin_sdk::export!(Acme);
//! ```
//!
//! The host creates an instance for each call and throws it away, so a plugin keeps nothing in memory between
//! calls: what it must remember goes into [`jobs::Handle::state`]. It retries nothing itself: the
//! host does, by the error's code. It sees no token: [`Request::credential`] names one, and
//! the host attaches it on the way out.
//!
//! Everything here compiles for the machine you work on as well, and [`testing::FakeHost`]
//! stands in for the host, so that the logic is tested by a plain `cargo test`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[doc(hidden)]
pub mod bindings;
pub mod dns;
mod error;
#[cfg(target_family = "wasm")]
mod export;
mod host;
pub mod http;
pub mod jobs;
pub mod limits;
pub mod plugin;
mod settings;
pub mod storage;
pub mod testing;
pub mod time;
pub mod url;
#[cfg(target_family = "wasm")]
mod wasi;

pub use bindings::sockerless::backend::types::{Cursor, Error, ErrorCode, Label, Timestamp};
pub use dns::Dns;
pub use error::{Result, unsupported};
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub use export::Component;
pub use host::{CredentialInfo, Host, Level, Transport};
pub use http::{Method, Request, Response};
pub use jobs::Jobs;
pub use plugin::Plugin;
pub use settings::Settings;
pub use storage::Storage;

/// Makes a component of a type that implements [`Plugin`], [`Jobs`], [`Dns`] and [`Storage`].
///
/// Once in a crate of `crate-type = ["cdylib"]`. On targets other than WebAssembly it does
/// nothing, so that the crate's tests run natively.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, missing_docs, clippy::all)]
        const _: () = {
            type Component = $crate::Component<$plugin>;
    $crate::bindings::export_component!(Component with_types_in $crate::bindings);
        };
    };
}

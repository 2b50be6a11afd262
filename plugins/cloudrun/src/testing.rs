//! Builders for the tests of this crate.

use std::rc::Rc;

use sockerless_plugin_sdk::{Plugin, Request, Response, testing::FakeHost};

pub use sockerless_plugin_sdk::testing::spec;

use crate::{CloudRun, manifest, settings::Config};

/// The settings of an operator who gave the project alone.
pub fn config() -> Config {
    Config::read(&host()).unwrap()
}

/// A host with those settings.
pub fn host() -> FakeHost {
    FakeHost::new().defaults(&manifest::manifest()).setting("project", "proj")
}

/// A plugin, and the host that it runs on.
pub fn plugin(answer: impl Fn(&Request) -> Response + 'static) -> (CloudRun, Rc<FakeHost>) {
    on(host().answering(answer))
}

/// A plugin on a given host.
pub fn on(host: FakeHost) -> (CloudRun, Rc<FakeHost>) {
    let host = Rc::new(host);
    (CloudRun::new(host.clone()).unwrap(), host)
}

//! Builders for the tests of this crate.

use std::rc::Rc;

use serde_json::{Value, json};
use sockerless_plugin_sdk::{
    Plugin, Request, Response,
    testing::{FakeHost, response},
};

pub use sockerless_plugin_sdk::testing::{container, spec};

use crate::{ContainerApps, manifest, settings::Config};

/// The resource group of the tests.
pub const GROUP: &str = "/subscriptions/01234567-89ab-cdef-0123-456789abcdef/resourceGroups/group";

/// The settings of an operator who gave what is required.
pub fn config() -> Config {
    Config::read(&host()).unwrap()
}

/// A host with those settings.
pub fn host() -> FakeHost {
    FakeHost::new()
        .defaults(&manifest::manifest())
        .setting("subscription_id", "01234567-89ab-cdef-0123-456789abcdef")
        .setting("resource_group", "group")
        .setting("environment", "env")
        .setting("location", "westeurope")
        .setting("storage_account", "acc")
}

/// A plugin, and the host that it runs on.
pub fn plugin(answer: impl Fn(&Request) -> Response + 'static) -> (ContainerApps, Rc<FakeHost>) {
    on(host().answering(answer))
}

/// A plugin on a given host.
pub fn on(host: FakeHost) -> (ContainerApps, Rc<FakeHost>) {
    let host = Rc::new(host);
    (ContainerApps::new(host.clone()).unwrap(), host)
}

/// An error as Resource Manager has it.
pub fn refused(status: u16, code: &str) -> Response {
    response(status, json!({"error": {"code": code, "message": format!("said {code}")}}))
}

/// An answer with one more header.
pub fn with(mut response: Response, name: &str, value: &str) -> Response {
    response.headers.push((name.into(), value.into()));
    response
}

/// What the requests were: method, and path below the host without its query.
pub fn asked(host: &FakeHost) -> Vec<String> {
    let line = |request: &Request| {
        let path = request.url.splitn(4, '/').nth(3).unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        let group = &GROUP[1..];
        format!("{} {}", request.method.as_str(), path.replace(group, "RG"))
    };
    host.requests().iter().map(line).collect()
}

/// The body of a request.
pub fn body(request: &Request) -> Value {
    serde_json::from_slice(request.body.as_deref().unwrap_or(b"null")).unwrap()
}

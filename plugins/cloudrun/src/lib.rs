//! Sockerless backend for Google Cloud Run jobs.
//!
//! A container is a job of its own with one execution (an execution's overrides can change neither
//! image nor command nor volumes). Job and execution are made by one call with a
//! deterministic name, so that the same call again cannot start it twice. Blobs and volumes are
//! objects of one bucket, which a job sees as folders; a network is a private zone of Cloud DNS.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod dns;
mod doctor;
mod google;
mod images;
mod jobs;
mod limits;
mod logs;
mod manifest;
mod names;
mod settings;
mod storage;
#[cfg(test)]
mod testing;

use std::rc::Rc;

use sockerless_plugin_sdk::{
    Host, Plugin, Request, Response, Result,
    plugin::{Check, ImageSources, Manifest},
};

use crate::settings::Config;

/// One call's view of a Google project.
pub struct CloudRun {
    host: Rc<dyn Host>,
    config: Config,
}

impl Plugin for CloudRun {
    fn describe() -> Manifest {
        manifest::manifest()
    }

    fn new(host: Rc<dyn Host>) -> Result<Self> {
        let config = Config::read(&*host)?;
        Ok(Self { host, config })
    }

    fn images(&self) -> Result<ImageSources> {
        Ok(images::sources(&self.config))
    }

    fn doctor(&self) -> Vec<Check> {
        doctor::checks(self)
    }
}

impl CloudRun {
    /// Sends a signed request. An answer of any status is `Ok`.
    fn send(&self, request: Request) -> Result<Response> {
        Ok(self.host.send(&request.credential(google::CREDENTIAL))?)
    }

    /// Sends signed requests at the same time, and fails with the first that had no answer.
    fn send_all(&self, requests: Vec<Request>) -> Result<Vec<Response>> {
        let signed: Vec<_> =
            requests.into_iter().map(|request| request.credential(google::CREDENTIAL)).collect();
        self.host.send_all(&signed).into_iter().map(|answer| Ok(answer?)).collect()
    }

    /// Fails unless the answer is a success.
    fn check(&self, doing: &str, response: &Response) -> Result<()> {
        if response.is_success() { Ok(()) } else { Err(google::error(doing, response, self.host.now())) }
    }
}

sockerless_plugin_sdk::export!(CloudRun);

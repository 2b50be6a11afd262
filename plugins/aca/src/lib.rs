//! Sockerless backend for Azure Container Apps jobs.
//!
//! A container is a job of its own with one execution: a start with a template of its own could not mount
//! volumes, and was seen to run an old one. Creating a job is an operation that lasts; its start comes after it. Blobs and
//! volumes are files and shares of one storage account, which an environment has to know before a job can mount them; a
//! network is a subtree of a private DNS zone.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod apps;
mod arm;
mod clouds;
mod dns;
mod doctor;
mod images;
mod jobs;
mod limits;
mod logs;
mod manifest;
mod names;
mod operation;
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

/// One call's view of a resource group.
pub struct ContainerApps {
    host: Rc<dyn Host>,
    config: Config,
}

impl Plugin for ContainerApps {
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

impl ContainerApps {
    /// Sends a request to Azure Resource Manager. An answer of any status is `Ok`.
    fn send(&self, request: Request) -> Result<Response> {
        Ok(self.host.send(&request.credential(self.config.arm_credential()))?)
    }

    /// Sends requests to Azure Resource Manager at the same time, and fails with the first that had no answer.
    fn send_all(&self, requests: Vec<Request>) -> Result<Vec<Response>> {
        let credential = self.config.arm_credential();
        let signed: Vec<_> =
            requests.into_iter().map(|request| request.credential(credential.as_str())).collect();
        self.host.send_all(&signed).into_iter().map(|answer| Ok(answer?)).collect()
    }

    /// Fails unless the answer is a success.
    fn check(&self, doing: &str, response: &Response) -> Result<()> {
        if response.is_success() { Ok(()) } else { Err(arm::error(doing, response, self.host.now())) }
    }
}

sockerless_plugin_sdk::export!(ContainerApps);

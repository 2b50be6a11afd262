//! Containers.

use std::future::Future;

use async_trait::async_trait;
use bollard_stubs::models::{
    ContainerCreateResponse, ContainerInspectResponse, ContainerPruneResponse, ContainerSummary,
    ContainerWaitResponse,
};
use bytes::Bytes;
use sockerless_ports::link::TerminalSize;

use crate::{
    AttachRequest, CreateRequest, Engine, Filters, ListRequest, LogsRequest, Outcome, OutputStream,
    RemoveRequest, Result, WaitCondition,
};

/// An attached client's view of a container.
pub struct Attachment {
    /// What the container writes.
    pub output: OutputStream,
    /// Where to put what the client writes, when it asked for that and the container takes it.
    pub input: Option<Box<dyn Input>>,
}

/// A container's standard input, for one client.
#[async_trait]
pub trait Input: Send {
    /// Writes; returns when there is room for more.
    async fn write(&mut self, bytes: Bytes) -> Result<()>;
    /// The client has no more. Closes the process's input if it was to be closed (`StdinOnce`).
    async fn close(&mut self) -> Result<()>;
}

#[allow(unused_variables, clippy::unused_async, missing_docs)]
impl Engine {
    pub async fn create(&self, request: CreateRequest) -> Result<ContainerCreateResponse> {
        todo!()
    }
    pub fn list(&self, request: &ListRequest) -> Result<Vec<ContainerSummary>> {
        todo!()
    }
    pub fn inspect(&self, reference: &str, size: bool) -> Result<ContainerInspectResponse> {
        todo!()
    }
    pub async fn start(&self, reference: &str) -> Result<Outcome> {
        todo!()
    }
    pub async fn stop(
        &self,
        reference: &str,
        signal: Option<&str>,
        timeout_seconds: Option<i64>,
    ) -> Result<Outcome> {
        todo!()
    }
    pub async fn restart(
        &self,
        reference: &str,
        signal: Option<&str>,
        timeout_seconds: Option<i64>,
    ) -> Result<()> {
        todo!()
    }
    pub async fn kill(&self, reference: &str, signal: Option<&str>) -> Result<()> {
        todo!()
    }
    pub async fn rename(&self, reference: &str, name: &str) -> Result<()> {
        todo!()
    }
    pub async fn remove(&self, reference: &str, request: RemoveRequest) -> Result<()> {
        todo!()
    }
    pub async fn prune(&self, filters: &Filters) -> Result<ContainerPruneResponse> {
        todo!()
    }
    /// Subscribed once this returns; the future inside gives the exit code.
    pub fn wait(
        &self,
        reference: &str,
        condition: WaitCondition,
    ) -> Result<impl Future<Output = ContainerWaitResponse> + Send + 'static + use<>> {
        Ok(async { todo!() })
    }
    pub async fn logs(&self, reference: &str, request: LogsRequest) -> Result<OutputStream> {
        todo!()
    }
    pub async fn attach(&self, reference: &str, request: AttachRequest) -> Result<Attachment> {
        todo!()
    }
    pub async fn resize(&self, reference: &str, size: TerminalSize) -> Result<()> {
        todo!()
    }
}

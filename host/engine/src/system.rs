//! The daemon as a whole.

use bollard_stubs::models::{EventMessage, SystemInfo, SystemVersion};
use futures_util::stream::BoxStream;

use crate::{Engine, EventsRequest, Result};

#[allow(unused_variables, clippy::unused_async, missing_docs)]
impl Engine {
    pub async fn info(&self) -> Result<SystemInfo> {
        todo!()
    }
    pub fn version(&self) -> SystemVersion {
        todo!()
    }
    pub fn events(&self, request: EventsRequest) -> Result<BoxStream<'static, EventMessage>> {
        todo!()
    }
}

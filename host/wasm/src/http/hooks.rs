//! Where `wasi:http` hands over to us.

use std::sync::Arc;

use http::{Request, Response};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::send::send;
use crate::state::CallContext;

/// The hooks of one call.
pub(crate) struct Hooks {
    call: Arc<CallContext>,
}

impl Hooks {
    pub(crate) fn new(call: Arc<CallContext>) -> Self {
        Self { call }
    }
}

type Exchange = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Exchange, Error>> + Send> {
        let call = Arc::clone(&self.call);
        Box::new(async move {
            let response = send(&call, request, options.unwrap_or_default()).await?;
            // reqwest drives its connections by itself: there is nothing left to poll.
            Ok((response, Box::new(async { Ok(()) }) as Box<_>))
        })
    }

    fn set_host_header(&mut self) -> bool {
        false
    }
}

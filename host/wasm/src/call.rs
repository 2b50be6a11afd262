//! One call of a guest: place, instance, time, and what its failures mean.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use sockerless_ports::backend::{Error, ErrorCode};
use tokio::{
    sync::SemaphorePermit,
    time::{Instant, timeout_at},
};
use wasmtime::Store;

use crate::{
    engine::Ticking,
    host::Shared,
    state::{CallContext, Powers, State},
};

/// Makes calls for one loaded component.
#[derive(Clone)]
pub(crate) struct Calls {
    pub(crate) plugin: Arc<str>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) powers: Arc<Powers>,
}

/// A call that has a place and a deadline. Drop it after its store.
pub(crate) struct Call<'a> {
    context: Arc<CallContext>,
    time: Duration,
    deadline: Instant,
    _ticking: Ticking,
    _places: [SemaphorePermit<'a>; 2],
}

impl Calls {
    /// Waits for a place and makes a store for one call of `function`.
    pub(crate) async fn begin(
        &self,
        function: &'static str,
        time: Duration,
    ) -> Result<(Call<'_>, Store<State>), Error> {
        let deadline = Instant::now() + time;
        let places = async {
            let own = self.powers.calls.acquire().await?;
            Ok::<_, tokio::sync::AcquireError>([own, self.shared.instances.acquire().await?])
        };
        let places = match timeout_at(deadline, places).await {
            Ok(Ok(places)) => places,
            Ok(Err(_)) => return Err(self.error(function, ErrorCode::Internal, "the plugin host is closed")),
            Err(_) => {
                let what = format!("too many calls at once; none ended within {} s", time.as_secs_f32());
                return Err(self.error(function, ErrorCode::Unavailable, &what));
            }
        };
        let context = Arc::new(CallContext::new(
            Arc::clone(&self.plugin),
            function,
            Arc::clone(&self.shared),
            Arc::clone(&self.powers),
        ));
        let mut store = Store::new(&self.shared.engine, State::new(Arc::clone(&context)));
        store.limiter(|state| &mut state.memory);
        // A guest that computes gives way at each tick: other tasks run, and `run` looks at its watch.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let call = Call { context, time, deadline, _ticking: self.shared.ticker.tick(), _places: places };
        Ok((call, store))
    }

    fn error(&self, function: &str, code: ErrorCode, what: &str) -> Error {
        Error::new(code, format!("plugin {}: {function}: {what}", self.plugin))
    }
}

impl Call<'_> {
    /// Carries the call out. The future is dropped, and with it the instance, once its time is up.
    pub(crate) async fn run<T, E: Into<Error>>(
        &self,
        guest: impl Future<Output = wasmtime::Result<Result<T, E>>>,
    ) -> Result<T, Error> {
        let limit = self.context.shared.limits.compute;
        let begin = Instant::now();
        let outcome = match timeout_at(self.deadline, metered(guest, limit)).await {
            Ok(Some(Ok(Ok(answer)))) => Ok(answer),
            Ok(Some(Ok(Err(error)))) => Err(self.context.explain(error.into())),
            Ok(Some(Err(trap))) => Err(self.trap(&trap)),
            Ok(None) => Err(self.stopped(
                ErrorCode::Internal,
                &format!("it computed for more than {} s without an end", limit.as_secs_f32()),
            )),
            Err(_) => Err(self.context.explain(self.stopped(
                ErrorCode::DeadlineExceeded,
                &format!("no answer within {} s", self.time.as_secs_f32()),
            ))),
        };
        let (plugin, function, took) = (&self.context.plugin, self.context.function, begin.elapsed());
        match &outcome {
            Ok(_) => tracing::debug!(%plugin, call = function, ?took, "ok"),
            Err(error) => tracing::debug!(%plugin, call = function, ?took, code = %error.code, "{error}"),
        }
        outcome
    }

    fn trap(&self, trap: &wasmtime::Error) -> Error {
        let (plugin, function) = (&self.context.plugin, self.context.function);
        tracing::error!(%plugin, call = function, "trap: {trap:?}");
        self.stopped(ErrorCode::Internal, &format!("the plugin crashed: {}", trap.root_cause()))
    }

    fn stopped(&self, code: ErrorCode, what: &str) -> Error {
        Error::new(code, format!("plugin {}: {}: {what}", self.context.plugin, self.context.function))
    }
}

/// Runs a future until it has computed for `limit`, waiting excluded; then gives none.
async fn metered<F: Future>(future: F, limit: Duration) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut used = Duration::ZERO;
    poll_fn(move |context| {
        if used >= limit {
            return Poll::Ready(None);
        }
        let begin = std::time::Instant::now();
        let outcome = future.as_mut().poll(context);
        used += begin.elapsed();
        outcome.map(Some)
    })
    .await
}

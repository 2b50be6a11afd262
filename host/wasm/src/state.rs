//! What belongs to one call: the data of its store.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use sockerless_credentials::{CredentialError, CredentialErrorKind};
use sockerless_ports::backend::{Error, ErrorCode};
use tokio::sync::Semaphore;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::{
    engine::MemoryLimit,
    guest_log::GuestOutput,
    host::Shared,
    http::{Grants, Hooks},
    limits::Limits,
    settings::Settings,
};

/// What a plugin, as configured, may read and reach. Shared by all of its calls.
pub(crate) struct Powers {
    pub(crate) settings: Settings,
    pub(crate) grants: Grants,
    /// Free places for calls.
    pub(crate) calls: Semaphore,
    /// Free places for HTTP requests.
    pub(crate) requests: Arc<Semaphore>,
}

impl Powers {
    pub(crate) fn new(settings: Settings, grants: Grants, limits: &Limits) -> Self {
        Self {
            settings,
            grants,
            calls: Semaphore::new(limits.calls_in_flight),
            requests: Arc::new(Semaphore::new(limits.requests_in_flight)),
        }
    }
}

/// One call: who makes it, with what powers, and what the host refused it.
pub(crate) struct CallContext {
    pub(crate) plugin: Arc<str>,
    pub(crate) function: &'static str,
    pub(crate) shared: Arc<Shared>,
    pub(crate) powers: Arc<Powers>,
    pub(crate) lines: AtomicUsize,
    fault: Mutex<Option<Fault>>,
}

/// Why the host did not carry out a guest's request. WASI's error codes have no room for it, so
/// it is added to the error with which the call ends.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Outside the grant, or against the rules.
    Denied(String),
    /// The credential cannot be had.
    Credential(CredentialError),
    /// The way to the provider is broken.
    Transport(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Denied(text) | Self::Transport(text) => f.write_str(text),
            Self::Credential(error) => error.fmt(f),
        }
    }
}

impl CallContext {
    pub(crate) fn new(
        plugin: Arc<str>,
        function: &'static str,
        shared: Arc<Shared>,
        powers: Arc<Powers>,
    ) -> Self {
        Self { plugin, function, shared, powers, lines: AtomicUsize::new(0), fault: Mutex::default() }
    }

    /// Notes the outcome of the latest request: a fault, or none after a success.
    pub(crate) fn note(&self, fault: Option<Fault>) {
        if let Some(fault) = &fault {
            tracing::warn!(plugin = %self.plugin, call = self.function, "{fault}");
        }
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Adds what the host knows to a guest's error.
    pub(crate) fn explain(&self, mut error: Error) -> Error {
        let Some(fault) = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return error;
        };
        error.code = match &fault {
            Fault::Denied(_) => ErrorCode::PermissionDenied,
            Fault::Credential(e) if e.kind == CredentialErrorKind::Unavailable => ErrorCode::Unavailable,
            Fault::Credential(_) => ErrorCode::Unauthenticated,
            Fault::Transport(_) => error.code,
        };
        let detail = fault.to_string();
        if error.message.is_empty() {
            error.message = detail;
        } else if !error.message.contains(&detail) {
            error.message = format!("{} ({detail})", error.message);
        }
        error
    }

    /// Whether the guest may write another line to the log. Says so once when it may not.
    pub(crate) fn may_log(&self) -> bool {
        let limit = self.shared.limits.log_lines;
        let written = self.lines.fetch_add(1, Ordering::Relaxed);
        if written == limit {
            tracing::warn!(plugin = %self.plugin, call = self.function, "more than {limit} lines of log; the rest is dropped");
        }
        written < limit
    }
}

/// The data of a store.
pub(crate) struct State {
    pub(crate) call: Arc<CallContext>,
    pub(crate) memory: MemoryLimit,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    table: ResourceTable,
}

impl State {
    pub(crate) fn new(call: Arc<CallContext>) -> Self {
        let limits = &call.shared.limits;
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits.header_bytes);
        let output = |name| GuestOutput::new(Arc::clone(&call), name);
        // A context without folders, arguments, environment or network.
        let wasi = WasiCtx::builder().stdout(output("stdout")).stderr(output("stderr")).build();
        let memory = MemoryLimit::new(limits);
        Self { memory, wasi, http, hooks: Hooks::new(Arc::clone(&call)), table, call }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

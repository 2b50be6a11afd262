//! What a guest writes goes to the daemon's log, with the plugin and the call as fields.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use crate::{limits::LOG_LINE, state::CallContext};

/// Writes one line to the log.
pub(crate) fn write(call: &CallContext, level: Level, message: &str) {
    if !call.may_log() {
        return;
    }
    let (plugin, function, message) = (&*call.plugin, call.function, shorten(message));
    match level {
        Level::ERROR => tracing::error!(plugin, call = function, "{message}"),
        Level::WARN => tracing::warn!(plugin, call = function, "{message}"),
        Level::INFO => tracing::info!(plugin, call = function, "{message}"),
        _ => tracing::debug!(plugin, call = function, "{message}"),
    }
}

fn shorten(message: &str) -> &str {
    let mut end = message.len().min(LOG_LINE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}

/// Standard output or error of a guest: each line is a line of the log. A panic's message comes
/// this way.
#[derive(Clone)]
pub(crate) struct GuestOutput {
    call: Arc<CallContext>,
    name: &'static str,
}

impl GuestOutput {
    pub(crate) fn new(call: Arc<CallContext>, name: &'static str) -> Self {
        Self { call, name }
    }

    fn lines(&self) -> Lines {
        Lines { output: self.clone(), rest: Vec::new() }
    }
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.lines())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.lines())
    }
}

/// One stream, cut into lines.
struct Lines {
    output: GuestOutput,
    rest: Vec<u8>,
}

impl Lines {
    fn take(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LOG_LINE.saturating_sub(self.rest.len());
            self.rest.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.rest);
        let line = line.trim_end();
        if !line.is_empty() {
            write(&self.output.call, Level::DEBUG, &format!("{}: {line}", self.output.name));
        }
        self.rest.clear();
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.end_line();
    }
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LOG_LINE)
    }
}

#[async_trait::async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Lines {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

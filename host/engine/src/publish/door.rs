//! A port that is held, and the task that serves it.

use std::future::Future;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Published, Socket};
use crate::Engine;

/// An open port.
pub(super) struct Door {
    published: Published,
    closed: CancellationToken,
    task: JoinHandle<Option<()>>,
}

impl Door {
    /// Serves a socket in a task of the engine's.
    pub fn open<F>(engine: &Engine, socket: Socket, serve: impl FnOnce(Socket) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (published, closed) = (socket.published.clone(), CancellationToken::new());
        let (serve, end) = (serve(socket), closed.clone());
        let task = engine.spawn(async move {
            // The port is free once this has ended, and not before.
            let _ = end.run_until_cancelled(serve).await;
        });
        Self { published, closed, task }
    }

    /// Frees the port.
    pub async fn close(self) -> Published {
        self.closed.cancel();
        // An error says that it panicked: the socket is closed just as well.
        let _ = self.task.await;
        self.published
    }
}

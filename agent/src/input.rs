//! Standard input, from the daemon to the process.

use std::rc::Rc;

use bytes::Buf;
use tokio::{io::AsyncWriteExt, net::unix::pipe::Sender};

use crate::shared::Shared;

/// Writes what comes until the end of it, or until the process takes no more; then closes.
pub async fn carry(shared: Rc<Shared>, mut into: Sender, terminal: bool) {
    loop {
        let more = shared.to_input.notified();
        let next = shared.state().next_input();
        match next {
            Some(Some(mut bytes)) => {
                while bytes.has_remaining() {
                    match into.write_buf(&mut bytes).await {
                        Ok(count) if count > 0 => {
                            shared.state().input_taken(count);
                            shared.to_send.notify_one();
                        }
                        // The process has closed it, or is gone.
                        _ => {
                            shared.state().stop_input();
                            return shared.to_send.notify_one();
                        }
                    }
                }
            }
            // A terminal has no end: the client has gone, another may come.
            Some(None) if terminal => return std::future::pending().await,
            Some(None) => return,
            None => more.await,
        }
    }
}

//! The head of an answer whose connection is taken over, and how it comes to its client alone.
//!
//! Some clients (docker-py) read heads through a buffer and the stream past it: what comes together with the head is
//! lost to them. dockerd needs so long to start a process that they do not notice; here they would. So for all but the
//! clients that are known to do better, the first output waits until the head was read.

use std::os::fd::{AsFd, OwnedFd};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{getsockopt, setsockopt, sockopt::SndBuf},
};
use tokio::time::{Instant, sleep};

use crate::{headers, hijack::Connection, limits};

/// Clients written in Go give what came with the head to whoever reads on: the docker CLI, Compose, the runners.
const BETTER: [&str; 4] = ["Docker-Client/", "Go-http-client/", "compose/", "docker/"];

/// A head to be written.
pub struct Head {
    /// With the empty line at its end.
    pub bytes: Bytes,
    /// It has to come alone.
    pub alone: bool,
}

impl Head {
    /// 101 for a client that asked for an upgrade, else a plain 200 that ends with the connection.
    pub fn new(request: &HeaderMap, content_type: &HeaderValue) -> Self {
        let mut head = BytesMut::with_capacity(512);
        if request.contains_key(header::UPGRADE) {
            head.put_slice(b"HTTP/1.1 101 UPGRADED\r\nContent-Type: ");
            head.put_slice(content_type.as_bytes());
            head.put_slice(b"\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n");
        } else {
            head.put_slice(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n");
        }
        // True of all that follows; and it makes the head long enough for `shrink`.
        head.put_slice(b"Cache-Control: no-cache, no-store, must-revalidate\r\nPragma: no-cache\r\n");
        let agent = request.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        Self { alone: !BETTER.iter().any(|known| agent.starts_with(known)), ..Self::finish(head) }
    }

    /// Adds the headers of every answer and the empty line.
    pub fn finish(mut head: BytesMut) -> Self {
        for (name, value) in headers::common() {
            head.put_slice(name.as_bytes());
            head.put_slice(b": ");
            head.put_slice(value.as_bytes());
            head.put_slice(b"\r\n");
        }
        head.put_slice(b"\r\n");
        Self { bytes: head.freeze(), alone: false }
    }
}

/// A connection whose head is being written.
pub struct Alone {
    /// The socket, where it can be seen what its peer has read, and the size of its send buffer.
    socket: Option<(OwnedFd, usize)>,
}

impl Alone {
    /// Before the head is written.
    pub fn begin(connection: &dyn Connection) -> Self {
        let socket = connection.local().and_then(|socket| {
            let socket = socket.try_clone_to_owned().ok()?;
            let size = shrink(&socket)?;
            Some((socket, size))
        });
        Self { socket }
    }

    /// After it: waits until the client has read it.
    pub async fn end(self) {
        let patience = Instant::now() + limits::HEAD_PATIENCE;
        sleep(limits::HEAD_ALONE).await;
        let Some((socket, size)) = self.socket else { return };
        while !was_read(&socket) && Instant::now() < patience {
            sleep(limits::HEAD_LOOK).await;
        }
        // The kernel doubles what it is given. A refusal costs speed alone.
        let _ = setsockopt(&socket, SndBuf, &(size / 2));
    }
}

/// With the smallest send buffer, a unix socket counts as writable when hardly anything in it is unread: less than a head
/// of 200 bytes.
fn shrink(socket: &OwnedFd) -> Option<usize> {
    let size = getsockopt(socket, SndBuf).ok()?;
    setsockopt(socket, SndBuf, &1).ok()?;
    Some(size)
}

fn was_read(socket: &OwnedFd) -> bool {
    let mut sockets = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    // What cannot be asked is not waited for.
    poll(&mut sockets, PollTimeout::ZERO).is_err() || sockets[0].any().unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixStream,
    };

    use super::*;

    fn head(agent: &str) -> Head {
        let mut request = HeaderMap::new();
        request.insert(header::USER_AGENT, HeaderValue::from_str(agent).unwrap());
        Head::new(&request, &HeaderValue::from_static("text/plain"))
    }

    #[tokio::test]
    async fn a_head_is_alone_until_it_was_read() {
        let (mut server, mut client) = UnixStream::pair().unwrap();
        let head = head("docker-sdk-python/7.1.0");
        assert!(head.alone);
        let before = getsockopt(&server, SndBuf).unwrap();
        let alone = Alone::begin(&server);
        server.write_all(&head.bytes).await.unwrap();
        let mut waiting = tokio::spawn(alone.end());
        let early = tokio::time::timeout(limits::HEAD_ALONE * 10, &mut waiting).await;
        assert!(early.is_err(), "a client that reads more than the head would have lost it");
        let mut buffer = [0; 8192];
        assert_eq!(client.read(&mut buffer).await.unwrap(), head.bytes.len());
        waiting.await.unwrap();
        assert_eq!(getsockopt(&server, SndBuf).unwrap(), before);
    }

    #[test]
    fn clients_that_keep_what_comes_with_the_head_are_known() {
        for agent in ["Docker-Client/28.2.2 (linux)", "Go-http-client/1.1", "compose/2.40.3-3"] {
            assert!(!head(agent).alone, "{agent}");
        }
        for agent in ["docker-sdk-python/7.1.0", "", "tc/python", "curl/8"] {
            assert!(head(agent).alone, "{agent}");
        }
    }
}

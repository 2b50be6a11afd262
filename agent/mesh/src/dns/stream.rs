//! Questions over a connection: each message after its length of two bytes.

use std::{io, net::SocketAddr, rc::Rc};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, WriteHalf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Mutex,
    task::{AbortHandle, spawn_local},
    time::timeout,
};

use super::{Resolver, forward::Stream, message::Question};
use crate::{Fabric, tuning};

/// Serves a program that has connected to a name server, until it or the server ends.
pub(crate) async fn serve_stream<F: Fabric>(mesh: &Resolver<F>, program: TcpStream, server: SocketAddr) {
    let (from, into) = program.into_split();
    // The program sees the end of its connection; there is no other place to tell.
    let _ = serve(mesh, from, Rc::new(Mutex::new(into)), server).await;
}

async fn serve<F: Fabric>(
    mesh: &Resolver<F>,
    mut program: OwnedReadHalf,
    answers: Rc<Mutex<OwnedWriteHalf>>,
    server: SocketAddr,
) -> io::Result<()> {
    let mut upstream = None;
    while let Some(query) = message(&mut program).await? {
        let known = Question::parse(&query).and_then(|question| mesh.known(&question));
        if let Some(answer) = known {
            tell(&mut *answers.lock().await, &answer).await?;
            continue;
        }
        let upstream = match &mut upstream {
            Some(upstream) => upstream,
            none => none.insert(Upstream::open(mesh, server, Rc::clone(&answers)).await?),
        };
        tell(&mut upstream.questions, &query).await?;
    }
    if let Some(upstream) = upstream {
        upstream.rest().await;
    }
    Ok(())
}

/// The connection to the server, once it is needed. One question may have many answers.
struct Upstream {
    questions: WriteHalf<Box<dyn Stream>>,
    task: Option<tokio::task::JoinHandle<()>>,
    abort: AbortHandle,
}

impl Upstream {
    async fn open<F: Fabric>(
        mesh: &Resolver<F>,
        server: SocketAddr,
        answers: Rc<Mutex<OwnedWriteHalf>>,
    ) -> io::Result<Self> {
        let (mut from, questions) = tokio::io::split(mesh.connect(server).await?);
        let task = spawn_local(async move {
            while let Ok(Some(answer)) = message(&mut from).await {
                if tell(&mut *answers.lock().await, &answer).await.is_err() {
                    return;
                }
            }
            // The server has ended; so does the program's connection.
            let _ = answers.lock().await.shutdown().await;
        });
        Ok(Self { questions, abort: task.abort_handle(), task: Some(task) })
    }

    /// The program asks no more, and may wait for answers yet.
    async fn rest(mut self) {
        let ended = self.questions.shutdown().await;
        if let (Ok(()), Some(task)) = (ended, self.task.take()) {
            // Aborted is ended, too.
            let _ = timeout(tuning::FORWARD, task).await;
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

/// The next message; `None` at the end.
async fn message(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let length = match from.read_u16().await {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut message = vec![0; length.into()];
    from.read_exact(&mut message).await?;
    Ok(Some(message))
}

async fn tell(into: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // In one piece: some resolvers read the length alone and then insist on the rest.
    let mut bytes = Vec::with_capacity(message.len() + 2);
    bytes.extend(length.to_be_bytes());
    bytes.extend(message);
    into.write_all(&bytes).await
}

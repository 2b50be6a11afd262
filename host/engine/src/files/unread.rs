//! What a container's agent may not read: it has the rights of the image's user, where dockerd has root's. Where the image
//! still has it, it is taken from there.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, future, stream};
use sockerless_pax::BLOCK;
use sockerless_ports::{
    link::{
        Channel,
        request::{Entry as Thing, Fault, LeftOut},
    },
    registry::Archive,
};
use tokio::sync::oneshot;

use super::{
    agent::readable,
    emit::Plan,
    path,
    tree::{Node, Tree, is_unchanged},
    view::Sources,
};
use crate::{Engine, Error, ErrorKind, Result, containers::Entry, tuning};

/// The end of an archive, bytes.
const END: usize = 2 * BLOCK;

/// What is left out of an archive.
#[derive(Debug, Default)]
pub(super) struct Unread {
    /// Why the first of it could not be read.
    pub fault: Option<Fault>,
    pub left_out: Vec<LeftOut>,
    /// How many more there are.
    pub more: u64,
}

impl Unread {
    /// One path.
    pub fn path(fault: Fault, path: String) -> Self {
        let left_out = vec![LeftOut { entry: Thing { path, ..Thing::default() }, ..LeftOut::default() }];
        Self { fault: Some(fault), left_out, more: 0 }
    }

    /// Adds what is left out of another part.
    pub fn add(&mut self, other: Self) {
        self.fault = self.fault.take().or(other.fault);
        self.left_out.extend(other.left_out);
        self.more += other.more;
    }

    /// For one who has to have everything.
    pub fn error(&self) -> io::Error {
        let words = self.fault.as_ref().map(|fault| fault.message.as_str()).unwrap_or_default();
        match self.count() {
            0 | 1 => io::Error::other(words.to_owned()),
            count => io::Error::other(format!("{words} (and {} more like it)", count - 1)),
        }
    }

    /// For one who does without it: why the first of it could not be read, and how many things it is.
    pub fn told(&self) -> Option<(Error, u64)> {
        let words = self.fault.as_ref().map_or("open: permission denied", |fault| fault.message.as_str());
        let message = format!("{words}: the container's user may not, and its agent has no other rights");
        let count = self.count();
        (count > 0).then(|| (Error::new(ErrorKind::Forbidden, message), count))
    }

    /// Tells the operator, if there is anything to tell.
    pub fn warn(&self, container: &str, what: &str) {
        let count = self.count();
        if count == 0 {
            return;
        }
        let paths = self.left_out.iter().map(|out| out.entry.path.as_str());
        let paths = paths.take(tuning::UNREAD_SHOWN).collect::<Vec<_>>().join(" ");
        tracing::warn!(
            container,
            count,
            paths,
            "{what} lacks what the container's user may not read: its agent has no other rights"
        );
    }

    fn count(&self) -> u64 {
        self.more + self.left_out.len() as u64
    }
}

/// What becomes of an archive that lacks what the image does not have either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lacking {
    /// It is whole without it; the log has the paths.
    Warned,
    /// It breaks off, too: a client that asked for these files is not to take a part for the whole.
    Broken,
}

impl Engine {
    /// An agent's archive, and in it, at its end, what the agent may not read and the image still has.
    pub(super) fn completed(
        &self,
        entry: &Arc<Entry>,
        channel: Box<dyn Channel>,
        lacking: Lacking,
    ) -> Result<Archive> {
        let (engine, entry) = (self.shared()?, Arc::clone(entry));
        let (archive, unread) = readable(channel);
        let (keep, last) = oneshot::channel();
        let rest = async move {
            match (last.await, unread.await) {
                // It broke off.
                (Err(_), _) => stream::empty().boxed(),
                (Ok(last), Err(_)) => one(Ok(last)),
                (Ok(last), Ok(unread)) => engine.rest(&entry, last, unread, lacking).await,
            }
        };
        Ok(but_last(archive, keep).chain(stream::once(rest).flatten()).boxed())
    }

    /// What comes in the place of an archive's last bytes.
    async fn rest(&self, entry: &Entry, last: Bytes, unread: Unread, lacking: Lacking) -> Archive {
        let Some(before) = last.len().checked_sub(END).filter(|at| last[*at..] == [0; END]) else {
            return one(Err(unread.error()));
        };
        let found = self.of_image(entry, &unread).await;
        let (found, unread) = found.unwrap_or_else(|error| {
            tracing::warn!(container = entry.id(), %error, "the image cannot be asked for what its user may not read");
            (None, unread)
        });
        unread.warn(entry.id(), "the archive");
        if lacking == Lacking::Broken && unread.count() > 0 {
            return one(Err(unread.error()));
        }
        match found {
            None => one(Ok(last)),
            Some((plan, sources)) => one(Ok(last.slice(..before))).chain(plan.emit(sources)).boxed(),
        }
    }

    /// What the image still has of it, and the rest.
    async fn of_image(
        &self,
        entry: &Entry,
        unread: &Unread,
    ) -> Result<(Option<(Plan, Arc<Sources>)>, Unread)> {
        let image = self.image_tree(&entry.spec.image_id).await?;
        let mut plan = Plan::default();
        let mut rest = Unread { fault: unread.fault.clone(), left_out: Vec::new(), more: unread.more };
        for out in &unread.left_out {
            match unchanged(&image, &out.entry) {
                Some(node) if out.entry.closed => plan.add_children(out.name.as_bytes(), node),
                Some(node) => plan.add(out.name.clone().into_bytes(), node),
                None => rest.left_out.push(out.clone()),
            }
        }
        if rest.left_out.len() == unread.left_out.len() {
            return Ok((None, rest));
        }
        Ok((Some((plan, Arc::new(self.image_sources(entry).await?))), rest))
    }
}

/// What the image has in a thing's place, unless the container has changed it.
fn unchanged<'a>(image: &'a Tree, thing: &Thing) -> Option<&'a Arc<Node>> {
    let node = image.get(path::parts(thing.path.as_bytes()))?;
    is_unchanged(thing, node).then_some(node)
}

fn one(piece: io::Result<Bytes>) -> Archive {
    stream::once(future::ready(piece)).boxed()
}

/// A stream without its last bytes, as many as an archive's end has or more; they are given away when it has ended well.
fn but_last(archive: Archive, keep: oneshot::Sender<Bytes>) -> Archive {
    let pieces = stream::unfold(Some((archive, Bytes::new(), keep)), |state| async move {
        let (mut archive, mut held, keep) = state?;
        loop {
            match archive.next().await {
                Some(Ok(piece)) if piece.len() >= END => {
                    let before = std::mem::replace(&mut held, piece);
                    if !before.is_empty() {
                        return Some((Ok(before), Some((archive, held, keep))));
                    }
                }
                Some(Ok(piece)) => {
                    held = [held, piece].concat().into();
                    let before = held.split_to(held.len().saturating_sub(END));
                    if !before.is_empty() {
                        return Some((Ok(before), Some((archive, held, keep))));
                    }
                }
                Some(Err(error)) => return Some((Err(error), None)),
                None => {
                    // Nobody waits for it if the whole stream was dropped.
                    let _ = keep.send(held);
                    return None;
                }
            }
        }
    });
    pieces.boxed()
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn however_a_stream_is_cut_its_end_is_held_back_whole() {
        let bytes: Vec<u8> = (0..10_000u32).map(|number| number as u8).collect();
        for size in [1, 7, 511, 1023, 1024, 1025, 4000, 9_999, 10_000] {
            let pieces: Vec<io::Result<Bytes>> =
                bytes.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            let (keep, last) = oneshot::channel();
            let before: Vec<Bytes> =
                but_last(stream::iter(pieces).boxed(), keep).try_collect().await.unwrap();
            let last = last.await.unwrap();
            assert!(last.len() >= END, "{size}");
            assert_eq!([before.concat(), last.to_vec()].concat(), bytes, "{size}");
        }
    }

    #[tokio::test]
    async fn a_stream_that_breaks_off_has_no_end() {
        let pieces = [Ok(Bytes::from(vec![0; 5000])), Err(io::Error::other("cut"))];
        let (keep, last) = oneshot::channel();
        assert!(but_last(stream::iter(pieces).boxed(), keep).try_collect::<Vec<_>>().await.is_err());
        assert!(last.await.is_err());
    }
}

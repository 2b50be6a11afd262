//! Making archives out of trees: headers out of memory, bytes out of the archives that hold them, each read once from front
//! to back, since layers are compressed.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::Arc,
};

use sockerless_ports::registry;

use super::{
    path::Name,
    pipe::{Pipe, blocking, pipe, reader},
    read::{Archive, Stream},
    tree::{Content, Node},
    view::Sources,
    write::Writer,
};
use crate::{Error, ErrorKind, Result};

/// Names under which a thing is to appear.
type Names = Vec<(Vec<u8>, Arc<Node>)>;

/// What is to be in an archive.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What needs no bytes, in order.
    plain: Names,
    /// Names by archive and member.
    files: BTreeMap<u32, HashMap<u32, Names>>,
    /// What is taken away.
    gone: Vec<Vec<u8>>,
}

impl Plan {
    /// Adds a thing alone.
    pub fn add(&mut self, name: Vec<u8>, node: &Arc<Node>) {
        match node.content {
            Some(Content { source, ordinal }) => {
                let names = self.files.entry(source).or_default().entry(ordinal).or_default();
                names.push((name, Arc::clone(node)));
            }
            None => self.plain.push((name, Arc::clone(node))),
        }
    }

    /// Adds a thing with all that is in it.
    pub fn add_all(&mut self, name: Vec<u8>, node: &Arc<Node>) {
        self.add(name.clone(), node);
        self.add_children(&name, node);
    }

    /// Adds what is in a directory of this name.
    pub fn add_children(&mut self, name: &[u8], node: &Node) {
        for (child, node) in &node.children {
            self.add_all(below(name, child), node);
        }
    }

    /// Takes a path away from the layers below.
    pub fn remove(&mut self, path: Vec<u8>) {
        self.gone.push(path);
    }

    /// The archive. An error on the way is the last thing that comes out.
    pub fn emit(self, sources: Arc<Sources>) -> registry::Archive {
        let (pipe, archive) = pipe();
        let breaker = pipe.breaker();
        tokio::spawn(async move {
            if let Err(error) = self.write(&sources, pipe).await {
                let _ = breaker.send(Err(io::Error::other(error.message))).await;
            }
        });
        archive
    }

    async fn write(self, sources: &Sources, pipe: Pipe) -> Result<()> {
        let mut writer = Writer::new(pipe, false);
        let Self { plain, files, gone } = self;
        writer = blocking(move || {
            for (name, node) in &plain {
                writer.append(name, &node.meta, io::empty()).map_err(|error| failed(&error))?;
            }
            Ok(writer)
        })
        .await?;
        for (source, names) in files {
            let input = reader(sources.open(source).await?);
            writer = blocking(move || copy(input, names, writer).map_err(|error| failed(&error))).await?;
        }
        blocking(move || {
            for path in &gone {
                writer.append_whiteout(path).map_err(|error| failed(&error))?;
            }
            writer.finish().map_err(|error| failed(&error)).map(drop)
        })
        .await
    }
}

/// Copies members out of an archive under other names.
fn copy(
    input: impl io::Read,
    mut names: HashMap<u32, Names>,
    mut writer: Writer<Pipe>,
) -> io::Result<Writer<Pipe>> {
    let mut archive = Archive::new(Stream(input));
    for ordinal in 0u32.. {
        if names.is_empty() || archive.next()?.is_none() {
            break;
        }
        let Some(names) = names.remove(&ordinal) else { continue };
        let mut names = names.into_iter();
        let Some((first, node)) = names.next() else { continue };
        writer.append(&first, &node.meta, &mut archive)?;
        for (name, node) in names {
            writer.append_hard(&name, &node.meta, &first)?;
        }
    }
    if names.is_empty() { Ok(writer) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn failed(error: &io::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("an archive could not be made: {error}"))
}

/// A name in a directory; the root's own ends in `/`.
fn below(directory: &[u8], child: &Name) -> Vec<u8> {
    let slash: &[u8] = if directory.is_empty() || directory.ends_with(b"/") { b"" } else { b"/" };
    [directory, slash, child].concat()
}

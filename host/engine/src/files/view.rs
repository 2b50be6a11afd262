//! A container's file system as far as the daemon has it: the image, the layer of the last run, and what was copied in
//! since.

use std::{fs::File, io, path::PathBuf, sync::Arc};

use futures_util::StreamExt;
use sockerless_ports::{Registry, registry::Archive};
use tokio_util::io::ReaderStream;

use super::{
    disk::{Folder, Piece, PieceKind},
    packing,
    pipe::blocking,
    read::{Headers, members},
    tree::{self, Tree},
};
use crate::{Engine, Error, ErrorKind, Result, containers::Entry, tuning};

/// A container's file system while no agent has it.
pub(super) struct View {
    /// The image's alone.
    pub image: Arc<Tree>,
    /// With everything.
    pub tree: Tree,
    /// Where the bytes are.
    pub sources: Arc<Sources>,
}

/// Archives by the numbers that a tree has for them: the image's layers first.
pub(super) struct Sources {
    registry: Arc<dyn Registry>,
    image: String,
    layers: u32,
    files: Vec<PathBuf>,
}

impl Sources {
    /// An archive from its beginning.
    pub async fn open(&self, number: u32) -> Result<Archive> {
        let Some(file) = number.checked_sub(self.layers) else {
            return packing::unpacked(self.registry.layer(&self.image, number as usize).await?).await;
        };
        let missing = || Error::new(ErrorKind::Internal, format!("there is no archive {number}"));
        let path = self.files.get(file as usize).ok_or_else(missing)?;
        read_file(path).await
    }

    /// The number that the next archive gets.
    pub fn next(&self) -> u32 {
        self.layers + u32::try_from(self.files.len()).unwrap_or(u32::MAX)
    }
}

/// A file as a stream. Errors: with its path.
pub(super) async fn read_file(path: &PathBuf) -> Result<Archive> {
    let file = tokio::fs::File::open(path).await.map_err(|error| unreadable(path, &error))?;
    Ok(ReaderStream::with_capacity(file, tuning::FILE_PIECE).boxed())
}

fn unreadable(path: &std::path::Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("{}: {error}", path.display()))
}

impl Engine {
    /// The folder with what is kept of a container's files.
    pub(super) fn folder(&self, entry: &Entry) -> Folder {
        Folder::new(&self.files.root, entry.id())
    }

    /// What is kept of a container's files.
    pub(super) async fn pieces(&self, entry: &Entry) -> Result<Vec<Piece>> {
        let folder = self.folder(entry);
        blocking(move || folder.pieces()).await
    }

    /// The layers of a container's image.
    pub(super) async fn image_sources(&self, entry: &Entry) -> Result<Sources> {
        let layers = self.registry.find(&entry.spec.image_id).await?.diff_ids.len();
        Ok(Sources {
            registry: Arc::clone(&self.registry),
            image: entry.spec.image_id.clone(),
            layers: u32::try_from(layers).unwrap_or(u32::MAX),
            files: Vec::new(),
        })
    }

    /// A container's file system out of what the daemon has. Errors: the image or its layers are out of reach, or the disk
    /// is.
    pub(super) async fn view(&self, entry: &Entry) -> Result<View> {
        let image = self.image_tree(&entry.spec.image_id).await?;
        let pieces = self.pieces(entry).await?;
        let files = pieces.iter().map(|piece| piece.file.clone()).collect();
        let sources = Sources { files, ..self.image_sources(entry).await? };
        let first = sources.layers;
        let mut tree = Tree::clone(&image);
        let tree = blocking(move || {
            for (number, piece) in (first..).zip(&pieces) {
                apply(&mut tree, number, piece)?;
            }
            Ok(tree)
        })
        .await?;
        Ok(View { image, tree, sources: Arc::new(sources) })
    }
}

fn apply(tree: &mut Tree, number: u32, piece: &Piece) -> Result<()> {
    let failed = |error: io::Error| unreadable(&piece.file, &error);
    let members = File::open(&piece.file).and_then(Headers::of).and_then(members).map_err(failed)?;
    match &piece.kind {
        PieceKind::Layer { .. } => tree.lay(number, &members),
        PieceKind::Put(to) => {
            // It was taken when the tree was as it is now, so it fits; if it does not, the agent says so at the start.
            if let Ok(found) = tree.find_followed(&super::path::absolute(&to.path)) {
                let destination = tree::Destination { place: &found.place, keep_kind: to.keep_kind };
                if let Err(error) = tree.unpack(number, destination, &members) {
                    tracing::warn!(file = %piece.file.display(), error, "an archive does not fit any more");
                }
            }
        }
    }
    Ok(())
}

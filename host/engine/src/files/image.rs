//! An image's file system, from its layers' headers. What is in a layer is listed once and kept on disk by the layer's
//! digest; the bytes stay in the layer.

use std::{
    collections::{HashSet, VecDeque},
    fs,
    io::{self, BufReader, BufWriter, Write},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use sockerless_ports::registry::Image;

use super::{
    Files,
    member::Member,
    packing,
    pipe::{blocking, reader},
    read::{Stream, members},
    tree::Tree,
};
use crate::{Engine, Error, ErrorKind, Result, tuning};

/// The trees of the images that were asked for last.
#[derive(Default)]
pub(super) struct Trees(Mutex<VecDeque<(String, Arc<Tree>)>>);

impl Trees {
    fn get(&self, image: &str) -> Option<Arc<Tree>> {
        let mut trees = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = trees.iter().position(|(id, _)| id == image)?;
        let found = trees.remove(at)?;
        let tree = Arc::clone(&found.1);
        trees.push_back(found);
        Some(tree)
    }

    fn put(&self, image: String, tree: &Arc<Tree>) {
        let mut trees = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        trees.push_back((image, Arc::clone(tree)));
        let mut nodes: usize = trees.iter().map(|(_, tree)| tree.root.count()).sum();
        while trees.len() > 1 && nodes > tuning::TREE_NODES {
            nodes -= trees.pop_front().map_or(0, |(_, tree)| tree.root.count());
        }
    }
}

impl Engine {
    /// What is in an image. Errors: it is not here any more, or its layers are out of reach.
    pub(super) async fn image_tree(&self, id: &str) -> Result<Arc<Tree>> {
        if let Some(tree) = self.files.trees.get(id) {
            return Ok(tree);
        }
        // One at a time: whoever comes second finds it made.
        let _making = self.files.making.lock().await;
        if let Some(tree) = self.files.trees.get(id) {
            return Ok(tree);
        }
        let image = self.registry.find(id).await?;
        let mut tree = Tree::default();
        for (number, diff_id) in image.diff_ids.iter().enumerate() {
            let members = self.layer_members(&image, number, diff_id).await?;
            tree = blocking(move || {
                tree.lay(u32::try_from(number).unwrap_or(u32::MAX), &members);
                Ok(tree)
            })
            .await?;
        }
        let tree = Arc::new(tree);
        self.files.trees.put(id.to_owned(), &tree);
        Ok(tree)
    }

    /// What is in a layer, from the list on disk or from the layer itself.
    async fn layer_members(&self, image: &Image, number: usize, diff_id: &str) -> Result<Vec<Member>> {
        let path = self.files.list_of(diff_id)?;
        let known = {
            let path = path.clone();
            blocking(move || read(&path)).await?
        };
        if let Some(members) = known {
            return Ok(members);
        }
        let layer = reader(packing::unpacked(self.registry.layer(&image.id, number).await?).await?);
        let needed: HashSet<PathBuf> = {
            let images = self.registry.list().await;
            let ids = images.iter().chain([image]).flat_map(|image| &image.diff_ids);
            ids.filter_map(|id| self.files.list_of(id).ok()).collect()
        };
        let words = format!("layer {diff_id} of image {}", image.id);
        blocking(move || {
            let list = members(Stream(layer))
                .map_err(|error| Error::new(ErrorKind::Internal, format!("{words}: {error}")))?;
            write(&path, &list, &needed)
                .map_err(|error| Error::new(ErrorKind::Internal, format!("{}: {error}", path.display())))?;
            Ok(list)
        })
        .await
    }
}

impl Files {
    /// Where a layer's list is.
    fn list_of(&self, diff_id: &str) -> Result<PathBuf> {
        let digits =
            diff_id.strip_prefix("sha256:").filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let digits = digits.ok_or_else(|| {
            Error::new(ErrorKind::Internal, format!("a layer without a proper digest: {diff_id:?}"))
        })?;
        Ok(self.root.join("layers").join(format!("{digits}.json")))
    }
}

/// None when there is none. One that cannot be read is made anew.
fn read(path: &PathBuf) -> Result<Option<Vec<Member>>> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => {
            file.map_err(|error| Error::new(ErrorKind::Internal, format!("{}: {error}", path.display())))?
        }
    };
    match serde_json::from_reader(BufReader::new(file)) {
        Ok(members) => Ok(Some(members)),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a layer's list is damaged and is made anew");
            Ok(None)
        }
    }
}

/// Keeps a list, and removes those that no image needs any more.
fn write(path: &PathBuf, members: &[Member], needed: &HashSet<PathBuf>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !needed.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    let draft = path.with_extension("draft");
    let mut file = BufWriter::new(fs::File::create(&draft)?);
    serde_json::to_writer(&mut file, members)?;
    file.flush()?;
    // A list that a power cut damages is noticed and made anew.
    fs::rename(&draft, path)
}

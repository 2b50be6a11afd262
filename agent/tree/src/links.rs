//! Hard links from one state to the next: by which word the names of one file are known.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
};

use crate::Manifest;

/// Names of one file each, by the first of them.
pub type Files<'a> = BTreeMap<&'a [u8], Vec<&'a [u8]>>;

/// Gives each file, by its first name, the word by which one of its names was known: whoever comes first has it, as a word
/// stands for one file.
pub fn claim<'a>(
    files: &Files<'a>,
    known: impl Fn(&[u8]) -> Option<&'a [u8]>,
) -> HashMap<&'a [u8], &'a [u8]> {
    let mut taken = HashSet::new();
    let claim = |(first, names): (&&'a [u8], &Vec<&'a [u8]>)| {
        let word = names.iter().filter_map(|name| known(name)).find(|word| !taken.contains(word))?;
        taken.insert(word);
        Some((*first, word))
    };
    files.iter().filter_map(claim).collect()
}

/// Three states with words for hard links that mean the same file in each: so that a name that is linked to on one side is
/// the same on the other, wherever the first of its names stands. To be tidied when they are merged.
pub struct Linked<'a> {
    pub base: Cow<'a, Manifest>,
    pub ours: Cow<'a, Manifest>,
    pub theirs: Cow<'a, Manifest>,
}

impl<'a> Linked<'a> {
    pub fn new(base: &'a Manifest, ours: &'a Manifest, theirs: &'a Manifest) -> Self {
        let linked = |(path, node): (&'a [u8], &'a crate::Node)| node.group().map(|_| path);
        let names: HashSet<&[u8]> =
            [base, ours, theirs].into_iter().flat_map(|side| side.iter().filter_map(linked)).collect();
        if names.is_empty() {
            return Self {
                base: Cow::Borrowed(base),
                ours: Cow::Borrowed(ours),
                theirs: Cow::Borrowed(theirs),
            };
        }
        let word = |path: &[u8]| {
            let (path, node) =
                base.entry(path).filter(|(path, node)| names.contains(path) && node.file().is_some())?;
            Some(node.group().unwrap_or(path))
        };
        let side = |side: &'a Manifest| Cow::Owned(renamed(side, &names, word));
        Self { base: side(base), ours: side(ours), theirs: side(theirs) }
    }
}

/// A side with the words that its files have in the base.
fn renamed<'a>(
    side: &'a Manifest,
    names: &HashSet<&[u8]>,
    word: impl Fn(&[u8]) -> Option<&'a [u8]>,
) -> Manifest {
    let mut files = Files::new();
    for (path, node) in side.iter().filter(|(path, node)| names.contains(path) && node.file().is_some()) {
        files.entry(node.group().unwrap_or(path)).or_default().push(path);
    }
    let words = claim(&files, word);
    let mut renamed = side.clone();
    for (path, node) in renamed.iter_mut().filter(|(path, _)| names.contains(path)) {
        let first = node.group().unwrap_or(path);
        // No path begins so.
        let own = || [b"/", first].concat();
        let word = words.get(first).map_or_else(own, |word| word.to_vec());
        node.set_group(Some(word));
    }
    renamed
}

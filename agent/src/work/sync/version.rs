//! A version of a volume, as the storage keeps it: `versions/ID`, where the id is that of its bytes.
//!
//! `SLV1`, its number, the versions before it, the packs, where in them each chunk is, and the manifest.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use sockerless_tree::{Change, Digest, Malformed, Manifest, Reader, Writer};

use super::{limits, object};

const MAGIC: &[u8; 4] = b"SLV1";

/// The beginning of a SHA-256, or 16 bytes by chance.
pub type Id = [u8; 16];

/// See the module.
#[derive(Debug, Default)]
pub struct Version {
    pub number: u64,
    /// The newest last.
    pub history: Vec<Id>,
    pub packs: Vec<Pack>,
    pub index: HashMap<Digest, Place>,
    pub manifest: Manifest,
}

/// An object with chunks, one behind the other: `packs/ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pack {
    pub id: Id,
    pub size: u64,
}

/// Where a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number among the version's packs.
    pub pack: u32,
    pub offset: u64,
    pub size: u32,
}

/// As it is written.
pub fn id(text: &str) -> Option<Id> {
    let mut id = Id::default();
    hex::decode_to_slice(text, &mut id).ok()?;
    Some(id)
}

pub fn folder(store: &Path) -> PathBuf {
    store.join("versions")
}

impl Version {
    /// Errors: it is not there, or is not what its name says.
    pub fn load(store: &Path, id: Id) -> io::Result<Self> {
        let place = folder(store).join(hex::encode(id));
        let bytes = fs::read(&place).map_err(|error| object::at(&place, &error))?;
        if object::digest(&bytes) != id {
            return Err(object::at(&place, &io::Error::other("it is damaged")));
        }
        Self::decode(&bytes).map_err(|error| object::at(&place, &io::Error::other(error)))
    }

    /// Writes it; gives its name.
    pub fn save(&self, store: &Path) -> io::Result<(Id, u64)> {
        let bytes = self.encode();
        let id = object::digest(&bytes);
        object::write(&folder(store).join(hex::encode(id)), &bytes)?;
        Ok((id, bytes.len() as u64))
    }

    fn encode(&self) -> Vec<u8> {
        let mut to = Writer(MAGIC.to_vec());
        to.number(self.number);
        to.number(self.history.len() as u64);
        self.history.iter().for_each(|id| to.0.extend_from_slice(id));
        to.number(self.packs.len() as u64);
        for pack in &self.packs {
            to.0.extend_from_slice(&pack.id);
            to.number(pack.size);
        }
        let mut index: Vec<_> = self.index.iter().collect();
        index.sort_unstable_by_key(|(_, place)| (place.pack, place.offset));
        to.number(index.len() as u64);
        for (digest, place) in index {
            to.digest(digest);
            to.number(u64::from(place.pack));
            to.number(place.offset);
            to.number(u64::from(place.size));
        }
        to.0.extend_from_slice(&self.manifest.encode());
        to.0
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader(bytes);
        if from.take(4)? != MAGIC {
            return Err(Malformed("it is no version of a volume"));
        }
        let number = from.number()?;
        let id = |from: &mut Reader<'_>| -> Result<Id, Malformed> {
            let mut id = Id::default();
            id.copy_from_slice(from.take(size_of::<Id>())?);
            Ok(id)
        };
        let count = from.count()?;
        let history = (0..count).map(|_| id(&mut from)).collect::<Result<_, _>>()?;
        let count = from.count()?;
        let packs = (0..count)
            .map(|_| Ok(Pack { id: id(&mut from)?, size: from.number()? }))
            .collect::<Result<Vec<_>, _>>()?;
        let count = from.count()?;
        let mut index = HashMap::with_capacity(count);
        for _ in 0..count {
            let digest = from.digest()?;
            let place = Place { pack: from.small()?, offset: from.number()?, size: from.small()? };
            if place.pack as usize >= packs.len() {
                return Err(Malformed("a chunk is in no pack"));
            }
            index.insert(digest, place);
        }
        let manifest = Manifest::read(&mut from)?;
        Ok(Self { number, history, packs, index, manifest })
    }

    /// The one that comes after this one, still the same.
    pub fn next(&self, own: Option<Id>) -> Self {
        let mut history = self.history.clone();
        history.extend(own);
        let old = history.len().saturating_sub(limits::HISTORY);
        history.drain(..old);
        Self {
            number: self.number + 1,
            history,
            packs: self.packs.clone(),
            index: self.index.clone(),
            manifest: self.manifest.clone(),
        }
    }

    /// In which order changes are carried out so that packs are read one after the other: what needs no bytes, then files by
    /// where theirs begin. Those with several names stay in their order, as one is linked to the other.
    pub fn order(&self, change: &Change) -> Option<(u32, u64)> {
        let Change::Put { node, content_stays: false, .. } = change else { return None };
        let file = node.file().filter(|file| file.group.is_none())?;
        let place = self.index.get(file.chunks.first()?)?;
        Some((place.pack, place.offset))
    }

    /// Forgets chunks that no file has, and packs that have none of the others.
    pub fn prune(&mut self) {
        let live: std::collections::HashSet<Digest> =
            self.manifest.chunks().map(|(digest, _)| digest).collect();
        self.index.retain(|digest, _| live.contains(digest));
        let mut numbers = vec![None; self.packs.len()];
        for place in self.index.values() {
            numbers[place.pack as usize] = Some(0);
        }
        let mut packs = Vec::new();
        for (number, pack) in numbers.iter_mut().zip(&self.packs) {
            if number.is_some() {
                *number = Some(packs.len() as u32);
                packs.push(*pack);
            }
        }
        self.packs = packs;
        for place in self.index.values_mut() {
            place.pack = numbers[place.pack as usize].unwrap_or_default();
        }
    }

    /// The packs that are worth rewriting: those of which more than half is dead, once that is much of all; and small ones,
    /// once they are many.
    pub fn worn(&self) -> Vec<u32> {
        let mut live = vec![0_u64; self.packs.len()];
        for place in self.index.values() {
            live[place.pack as usize] += u64::from(place.size);
        }
        let all: u64 = self.packs.iter().map(|pack| pack.size).sum();
        let used: u64 = live.iter().sum();
        let many_dead = all >= used.saturating_mul(2).saturating_add(limits::DEAD_LEAST);
        let is_small = |pack: &Pack| pack.size < limits::SMALL;
        let many_small = self.packs.iter().filter(|pack| is_small(pack)).count() > limits::SMALL_MOST;
        let worn =
            self.packs.iter().zip(&live).enumerate().filter(|(_, (pack, live))| {
                many_dead && **live * 2 < pack.size || many_small && is_small(pack)
            });
        worn.map(|(number, _)| number as u32).collect()
    }
}

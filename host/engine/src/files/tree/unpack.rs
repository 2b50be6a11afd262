//! Unpacking a client's archive, by dockerd's rules and with its words for what breaks them. The agent, which unpacks it
//! in the end, has the same.

use std::collections::HashSet;

use super::{Content, Missing, Node, Tree};
use crate::files::{
    member::{Kind, Member, What},
    path::{self, Name},
};

/// Where a client's archive goes.
#[derive(Debug, Clone, Copy)]
pub(in crate::files) struct Destination<'a> {
    /// A directory that is there.
    pub place: &'a [Name],
    /// `noOverwriteDirNonDir`.
    pub keep_kind: bool,
}

/// Links that an archive has brought: nothing goes out of the destination through them. Through those that were there it
/// goes where they lead in the container.
type Brought = HashSet<Vec<Name>>;

impl Destination<'_> {
    /// The names below it, as a path to show.
    fn shown(&self, names: &[&[u8]]) -> String {
        path::shown(self.place.iter().map(AsRef::as_ref).chain(names.iter().copied()))
    }
}

impl Tree {
    /// Unpacks the archive with this number. Errors: the first member that dockerd would not take; what came before it is
    /// in the tree.
    pub fn unpack(
        &mut self,
        source: u32,
        destination: Destination<'_>,
        members: &[Member],
    ) -> Result<(), String> {
        let mut brought = Brought::new();
        for (ordinal, member) in members.iter().enumerate() {
            let content = u32::try_from(ordinal).ok().map(|ordinal| Content { source, ordinal });
            self.unpack_member(destination, member, content, &mut brought)?;
        }
        Ok(())
    }

    fn unpack_member(
        &mut self,
        destination: Destination<'_>,
        member: &Member,
        content: Option<Content>,
        brought: &mut Brought,
    ) -> Result<(), String> {
        let names = path::inside(&member.name)
            .map_err(|()| format!("{:?} is outside of {:?}", lossy(&member.name), destination.shown(&[])))?;
        let directory = matches!(&member.what, What::Thing(meta) if meta.kind == Kind::Directory);
        if matches!(member.what, What::Other) {
            return Ok(());
        }
        let shown = destination.shown(&names);
        let Some((last, parents)) = names.split_last() else {
            // The destination itself keeps what it is.
            return if directory { Ok(()) } else { Err(overwrites(&shown, &destination.shown(&[]))) };
        };
        let mut place = self.within(destination, parents, "mkdir", brought)?;
        place.push((*last).into());
        let node = match &member.what {
            What::Thing(meta) => {
                if meta.kind == Kind::Symlink {
                    check_symlink(destination, &names, &meta.target)?;
                    brought.insert(place.clone());
                }
                Node { content: content.filter(|_| meta.kind == Kind::File), ..Node::new(meta.clone()) }
            }
            What::Hard(target) => self.linked(destination, target, &shown, brought)?,
            What::Other => return Ok(()),
        };
        if let Some(old) = self.get(place.iter().map(AsRef::as_ref)) {
            if destination.keep_kind && old.is_directory() && !directory {
                return Err(overwrites(&shown, &destination.shown(&[])));
            }
            if destination.keep_kind && !old.is_directory() && directory {
                return Err(format!(
                    "cannot overwrite non-directory {shown:?} with directory {:?}",
                    destination.shown(&[])
                ));
            }
        }
        self.put(&place, node);
        Ok(())
    }

    /// Where a directory of the archive really is.
    fn within(
        &self,
        destination: Destination<'_>,
        names: &[&[u8]],
        what: &str,
        brought: &Brought,
    ) -> Result<Vec<Name>, String> {
        let shown = || destination.shown(names);
        let (place, passed) = self
            .trace(destination.place.to_vec(), &path::join(names.iter().copied()))
            .map_err(|missing| format!("{what} {}: {missing}", shown()))?;
        if !place.starts_with(destination.place) && passed.iter().any(|link| brought.contains(link)) {
            return Err(format!("{:?} is outside of {:?}", shown(), destination.shown(&[])));
        }
        Ok(place)
    }

    fn linked(
        &self,
        destination: Destination<'_>,
        target: &[u8],
        shown: &str,
        brought: &Brought,
    ) -> Result<Node, String> {
        let names = path::inside(target).map_err(|()| {
            let whole = [&path::join(destination.place.iter().map(AsRef::as_ref)), target].join(&b'/');
            format!("invalid hardlink {:?} -> {:?}", path::absolute(&lossy(&whole)), lossy(target))
        })?;
        let (last, parents) =
            names.split_last().map_or((None, &names[..]), |(last, rest)| (Some(last), rest));
        let missing = |missing: Missing| format!("link {} {shown}: {missing}", destination.shown(&names));
        let mut place = self.within(destination, parents, "link", brought)?;
        place.extend(last.map(|last| Name::from(*last)));
        let node = self.get(place.iter().map(AsRef::as_ref)).ok_or_else(|| missing(Missing::NotFound))?;
        if node.is_directory() {
            return Err(format!("link {} {shown}: operation not permitted", destination.shown(&names)));
        }
        Ok(Node::clone(node))
    }
}

/// dockerd takes no link that leads out of the destination; an absolute one is taken as it is.
fn check_symlink(destination: Destination<'_>, names: &[&[u8]], target: &[u8]) -> Result<(), String> {
    let parents = names.split_last().map_or(&[][..], |(_, parents)| parents);
    let whole = format!("{}/{}", destination.shown(parents), lossy(target));
    let within: Vec<&[u8]> = destination.place.iter().map(AsRef::as_ref).collect();
    if path::parts(path::absolute(&whole).as_bytes()).take(within.len()).eq(within) {
        return Ok(());
    }
    Err(format!("invalid symlink {:?} -> {:?}", destination.shown(names), lossy(target)))
}

fn overwrites(shown: &str, destination: &str) -> String {
    format!("cannot overwrite directory {shown:?} with non-directory {destination:?}")
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

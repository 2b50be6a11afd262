//! `docker cp -a` into a container: everything belongs to the container's user.

use std::{io::Read, sync::Arc};

use sockerless_ports::registry::Archive;

use super::{
    fault::Asked,
    member::{Member, Meta, What},
    pipe::{blocking, reader, through},
    read::{self, Stream},
    write::Writer,
};
use crate::{Engine, Error, ErrorKind, PutArchive, Result, containers::Entry, tuning};

/// User and group by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub uid: u64,
    pub gid: u64,
}

impl Engine {
    /// To whom the archive's files are to belong; none when they keep the owners that they have. As in dockerd that is only
    /// otherwise when the container has a user.
    pub(super) async fn owner(&self, entry: &Arc<Entry>, request: &PutArchive) -> Result<Option<Owner>> {
        let user = entry.spec.config.user.as_deref().filter(|user| request.copy_owner && !user.is_empty());
        let Some(user) = user else { return Ok(None) };
        let (name, group) = user.split_once(':').map_or((user, None), |(name, group)| (name, Some(group)));
        let passwd = match (name.parse::<u64>(), group.map(str::parse::<u64>)) {
            (Ok(uid), Some(Ok(gid))) => return Ok(Some(Owner { uid, gid })),
            _ => self.read_small(entry, "/etc/passwd").await?,
        };
        let (uid, primary) = match lookup(&passwd, name, 2) {
            Some(fields) => (number(&fields, 2)?, number(&fields, 3)?),
            None => (name.parse().map_err(|_| unknown("user", name))?, 0),
        };
        let gid = match group.map(|group| (group, group.parse())) {
            None => primary,
            Some((_, Ok(gid))) => gid,
            Some((group, Err(_))) => {
                let groups = self.read_small(entry, "/etc/group").await?;
                number(&lookup(&groups, group, 2).ok_or_else(|| unknown("group", group))?, 2)?
            }
        };
        Ok(Some(Owner { uid, gid }))
    }

    /// A small file of a container; empty when there is none.
    async fn read_small(&self, entry: &Arc<Entry>, path: &str) -> Result<String> {
        let asked = Asked { container: entry.id(), path };
        let archive = match self.read_entry(entry, asked).await {
            Ok((_, archive)) => archive,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(error),
        };
        let input = reader(archive);
        let path = path.to_owned();
        blocking(move || {
            let mut text = Vec::new();
            let read = || {
                let mut archive = read::Archive::new(Stream(input));
                while archive.next()?.is_some() {
                    archive.by_ref().take(tuning::SMALL_FILE).read_to_end(&mut text)?;
                }
                Ok(())
            };
            read().map_err(|error: std::io::Error| {
                Error::new(ErrorKind::Internal, format!("{path} of the container could not be read: {error}"))
            })?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        })
        .await
    }
}

/// The line of a name or a number, in fields.
fn lookup<'a>(table: &'a str, wanted: &str, number: usize) -> Option<Vec<&'a str>> {
    let lines = || table.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines()
        .find(|fields| fields.first() == Some(&wanted))
        .or_else(|| lines().find(|fields| fields.get(number) == Some(&wanted)))
}

fn number(fields: &[&str], at: usize) -> Result<u64> {
    let broken = || {
        let name = fields.first().copied().unwrap_or_default();
        Error::new(ErrorKind::Internal, format!("the container's entry of {name} has no number"))
    };
    fields.get(at).and_then(|field| field.parse().ok()).ok_or_else(broken)
}

fn unknown(what: &str, name: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("unable to find {what} {name}: no matching entries in the container"),
    )
}

/// The same archive with everything in it belonging to one owner.
pub(super) fn given_to(archive: Archive, owner: Owner) -> Archive {
    through(archive, move |input, output| {
        let mut archive = read::Archive::new(Stream(input));
        let mut writer = Writer::new(&mut *output, true);
        while let Some(Member { name, what }) = archive.next()? {
            match what {
                What::Thing(mut meta) => {
                    (meta.uid, meta.gid) = (owner.uid, owner.gid);
                    writer.append(&name, &meta, &mut archive)?;
                }
                What::Hard(target) => writer.append_hard(&name, &Meta::default(), &target)?,
                What::Other => {}
            }
        }
        writer.finish()?;
        archive.drain()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_before_number() {
        let table = "root:x:0:0:root:/root:/bin/sh\n7:x:8:9::/:/bin/sh\nweb:x:7:70::/:/bin/sh\n";
        assert_eq!(lookup(table, "web", 2).unwrap()[3], "70");
        assert_eq!(lookup(table, "7", 2).unwrap()[2], "8");
        assert_eq!(lookup(table, "0", 2).unwrap()[0], "root");
        assert_eq!(lookup(table, "nobody", 2), None);
        assert!(number(&["broken"], 2).is_err());
    }
}

//! The whole file system: as a list, as an archive, and what has changed of it.

use std::{fs, io, os::unix::ffi::OsStrExt, os::unix::fs::MetadataExt, path::Path};

use sockerless_agent_wire::request::{End, Entry, Fault, FaultKind, Reply};
use tar::EntryType;

use super::{
    archive::{Member, Packer},
    fault::{failed, fault},
    files::{
        clock::{self, Since},
        mounts::Mounts,
        path::Root,
        tree::{Cross, Found, Tree},
    },
    stream::Out,
    transfer,
};
use crate::shared::Channel;

/// What a container's `/dev` consists of for Docker, beside what the machine puts there.
const DEVICES: [(&str, EntryType); 3] = [
    ("dev/console", EntryType::Regular),
    ("dev/pts/", EntryType::Directory),
    ("dev/shm/", EntryType::Directory),
];

/// Lists everything.
pub async fn walk(channel: Channel) {
    transfer::send(channel, |out| list(&Root::container(), &Mounts::read_all(), clock::since(), out)).await;
}

/// Archives everything, as `docker export` does, but for what is in some directories.
pub async fn export(channel: Channel, except: Vec<String>) {
    transfer::send(channel, |out| {
        archive(&Root::container(), &Mounts::read_all().with(except), clock::since(), out)
    })
    .await;
}

/// Archives what has changed since the agent began.
pub async fn changed(channel: Channel) {
    transfer::send(channel, |out| changes(&Root::container(), &Mounts::read_all(), clock::since(), out))
        .await;
}

fn all(
    root: &Root,
    mounts: &Mounts,
    out: &mut Out,
    visit: &mut dyn FnMut(Found<'_>, &mut Out) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let top = Path::new("/");
    let meta = fs::symlink_metadata(root.place(top)).map_err(|error| failed("lstat /", &error))?;
    out.reply(Reply::Ready);
    Tree { root, mounts, cross: Cross::Never, unseen: false }.walk(top, &meta, &mut |found| visit(found, out))
}

fn list(root: &Root, mounts: &Mounts, since: Since, out: &mut Out) -> Result<End, Fault> {
    all(root, mounts, out, &mut |found, out| {
        let Found { path, meta, .. } = found;
        if path == Path::new("/") {
            return Ok(());
        }
        let link = match meta.is_symlink().then(|| fs::read_link(root.place(path))) {
            Some(Ok(link)) => link.to_string_lossy().into_owned(),
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            _ => String::new(),
        };
        let entry = Entry { link, ..found.entry(since) };
        let buffer = out.buffer();
        serde_json::to_writer(&mut *buffer, &entry)
            .map_err(|error| fault(FaultKind::Internal, error.to_string()))?;
        buffer.push(b'\n');
        out.sent()
    })?;
    Ok(End::Done)
}

fn archive(root: &Root, mounts: &Mounts, since: Since, out: &mut Out) -> Result<End, Fault> {
    let mut archive = Packer::new(false, since);
    all(root, mounts, out, &mut |found, out| {
        let name = relative(found.path);
        if name.is_empty() {
            return Ok(());
        }
        if !found.foreign {
            return archive.add(out, root, &found, name);
        }
        let empty = |name: &[u8], kind| Member {
            mode: 0o755,
            modified: (found.meta.mtime(), 0),
            ..Member::new(name, kind)
        };
        if !found.meta.is_dir() {
            return archive.member(out, &empty(name, EntryType::Regular));
        }
        archive.member(out, &empty(&[name, b"/"].concat(), EntryType::Directory))?;
        if name == b"dev" {
            for (name, kind) in DEVICES {
                archive.member(out, &empty(name.as_bytes(), kind))?;
            }
        }
        Ok(())
    })?;
    archive.finish(out)
}

fn changes(root: &Root, mounts: &Mounts, since: Since, out: &mut Out) -> Result<End, Fault> {
    let mut archive = Packer::new(true, since);
    all(root, mounts, out, &mut |found, out| {
        let name = relative(found.path);
        // The layer is unpacked into the root, which keeps its own.
        if name.is_empty() || found.foreign || !since.is_before(found.meta) {
            return Ok(());
        }
        archive.add(out, root, &found, name)
    })?;
    archive.finish(out)
}

/// As names stand in such archives.
fn relative(path: &Path) -> &[u8] {
    let bytes = path.as_os_str().as_bytes();
    bytes.strip_prefix(b"/").unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::work::{files::mounts, stream::tests::collect};

    fn tree() -> (tempfile::TempDir, Root, Mounts) {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["dev", "etc", "home/web", "proc/1", "vol", ".sockerless"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        for path in [
            "dev/null",
            "etc/hosts",
            "etc/passwd",
            "home/web/a",
            "proc/1/stat",
            "vol/data",
            ".sockerless/agent",
        ] {
            fs::write(at(path), "12345").unwrap();
        }
        fs::hard_link(at("home/web/a"), at("home/web/b")).unwrap();
        symlink("a", at("home/web/link")).unwrap();
        fs::set_permissions(at("home/web"), fs::Permissions::from_mode(0o2750)).unwrap();
        let table = b"1 0 0:1 / /dev rw - tmpfs tmpfs rw\n2 0 0:1 / /proc rw - proc proc rw\n\
            3 0 8:1 / /vol rw - ext4 x rw\n4 0 8:1 / /.sockerless ro - ext4 x rw\n";
        let mounts = Mounts::parse(table, Some(Path::new("/.sockerless/agent")));
        let root = Root::at(folder.path());
        (folder, root, mounts)
    }

    fn names(archive: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(archive);
        let names = archive.entries().unwrap().map(|entry| entry.unwrap());
        names
            .map(|entry| format!("{} {}", String::from_utf8_lossy(&entry.path_bytes()), entry.size()))
            .collect()
    }

    #[test]
    fn the_list_tells_what_is_the_containers_and_where_it_does_not_look() {
        let (_folder, root, mounts) = tree();
        let (reply, lines, result) = collect(|out| list(&root, &mounts, Since::ever(), out));
        assert_eq!((reply, result), (Some(Reply::Ready), Ok(End::Done)));
        let entries: Vec<Entry> = lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        let shown: Vec<_> =
            entries.iter().map(|entry| (entry.path.as_str(), entry.closed, entry.recent)).collect();
        assert_eq!(
            shown,
            [
                ("/dev", true, false),
                ("/etc", false, true),
                ("/etc/hosts", true, false),
                ("/etc/passwd", false, true),
                ("/home", false, true),
                ("/home/web", false, true),
                ("/home/web/a", false, true),
                ("/home/web/b", false, true),
                ("/home/web/link", false, true),
                ("/proc", true, false),
                ("/vol", true, false),
            ]
        );
        let web = &entries[5];
        assert_eq!((web.mode, web.size, web.link.as_str()), (0o42750, 0, ""));
        assert_eq!((entries[6].mode & 0o170_000, entries[6].size), (0o100_000, 5));
        assert_eq!((entries[8].mode & 0o170_000, entries[8].link.as_str()), (0o120_000, "a"));
        let (_, lines, _) = collect(|out| list(&root, &mounts, Since::never(), out));
        assert!(!String::from_utf8(lines).unwrap().contains("recent"));
    }

    #[test]
    fn an_export_has_places_for_what_docker_mounts() {
        let (_folder, root, mounts) = tree();
        let (_, archived, result) = collect(|out| archive(&root, &mounts, Since::ever(), out));
        assert_eq!(result, Ok(End::Done));
        assert_eq!(
            names(&archived),
            [
                "dev/ 0",
                "dev/console 0",
                "dev/pts/ 0",
                "dev/shm/ 0",
                "etc/ 0",
                "etc/hosts 0",
                "etc/passwd 5",
                "home/ 0",
                "home/web/ 0",
                "home/web/a 5",
                "home/web/b 0",
                "home/web/link 0",
                "proc/ 0",
                "vol/ 0",
            ]
        );
    }

    #[test]
    fn what_stands_for_a_mount_is_left_out_where_it_really_is() {
        let (folder, root, _) = tree();
        fs::create_dir_all(folder.path().join("usr/sbin-of-test")).unwrap();
        symlink("usr/sbin-of-test", folder.path().join("sbin")).unwrap();
        // Before it is there.
        mounts::note(&root, "/sbin/bound/");
        fs::create_dir(folder.path().join("usr/sbin-of-test/bound")).unwrap();
        fs::write(folder.path().join("usr/sbin-of-test/bound/file"), "12345").unwrap();
        let mounts = Mounts::read_all();
        let (_, lines, _) = collect(|out| list(&root, &mounts, Since::ever(), out));
        let entries: Vec<Entry> = lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .filter(|entry: &Entry| entry.path.contains("bound"))
            .collect();
        assert!(matches!(&entries[..], [entry] if entry.closed), "{entries:?}");
        let (_, changed, _) = collect(|out| changes(&root, &mounts, Since::ever(), out));
        let names = names(&changed);
        assert!(
            names.contains(&"usr/sbin-of-test/ 0".into()) && !names.concat().contains("bound"),
            "{names:?}"
        );
    }

    #[test]
    fn changes_are_what_is_new_of_the_containers_own() {
        let (_folder, root, mounts) = tree();
        let changed = |since| {
            let (_, changed, result) = collect(|out| changes(&root, &mounts, since, out));
            assert_eq!(result, Ok(End::Done));
            names(&changed)
        };
        assert_eq!(
            changed(Since::ever()),
            [
                "etc/ 0",
                "etc/passwd 5",
                "home/ 0",
                "home/web/ 0",
                "home/web/a 5",
                "home/web/b 0",
                "home/web/link 0"
            ]
        );
        assert_eq!(changed(Since::never()), Vec::<String>::new());
    }
}

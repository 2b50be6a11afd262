//! The image's USER, looked up in the image's own passwd and group.

use super::protocol::StageFailure;
use crate::spec::FailureReason;

/// Who a command runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// From passwd, `/` when it has none.
    pub home: String,
}

struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// Resolves `user`, `uid`, `user:group`, `uid:gid` or nothing (root) as the image specification
/// has it: an explicit group leaves no supplementary groups, a number need not be in the files.
pub(crate) fn resolve(user: &str, passwd: &str, group: &str) -> Result<Identity, StageFailure> {
    let (user, group_part) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (user, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    // A name goes before a number that looks alike, as the file could have both.
    let entry = entries(passwd)
        .find(|entry| entry.name == user)
        .or_else(|| user.parse().ok().and_then(|uid: u32| entries(passwd).find(|entry| entry.uid == uid)));
    let uid = match (&entry, user.parse()) {
        (Some(entry), _) => entry.uid,
        (None, Ok(uid)) => uid,
        (None, Err(_)) => {
            return Err(missing(format!("unable to find user {user}: no matching entries in passwd file")));
        }
    };
    let (gid, groups) = match group_part {
        Some(name) => {
            let gid = groups_of(group)
                .find(|(candidate, ..)| *candidate == name)
                .map(|(_, gid, _)| gid)
                .or_else(|| name.parse().ok())
                .ok_or_else(|| {
                    missing(format!("unable to find group {name}: no matching entries in group file"))
                })?;
            (gid, Vec::new())
        }
        None => {
            let name = entry.as_ref().map(|entry| entry.name);
            let groups = groups_of(group)
                .filter(|(_, _, members)| {
                    name.is_some_and(|name| members.split(',').any(|member| member == name))
                })
                .map(|(_, gid, _)| gid)
                .collect();
            (entry.as_ref().map_or(0, |entry| entry.gid), groups)
        }
    };
    let home = entry.map(|entry| entry.home).filter(|home| !home.is_empty()).unwrap_or("/").to_owned();
    Ok(Identity { uid, gid, groups, home })
}

fn missing(message: String) -> StageFailure {
    StageFailure::new(FailureReason::UserNotFound, message)
}

fn entries(passwd: &str) -> impl Iterator<Item = Entry<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1).unwrap_or_default();
        Some(Entry { name, uid, gid, home })
    })
}

fn groups_of(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:an app:/srv/app:/bin/sh\n7:x:70:71::/seven:\nbroken\n";
    const GROUP: &str = "root:x:0:\nstaff:x:50:app,other\naudio:x:29:app\n7:x:72:\n";

    fn identity(user: &str) -> Identity {
        resolve(user, PASSWD, GROUP).unwrap()
    }

    #[test]
    fn nothing_means_root_with_its_home() {
        assert_eq!(identity(""), Identity { uid: 0, gid: 0, groups: vec![], home: "/root".into() });
    }

    #[test]
    fn a_name_brings_its_group_and_its_supplementary_groups() {
        assert_eq!(
            identity("app"),
            Identity { uid: 1000, gid: 1001, groups: vec![50, 29], home: "/srv/app".into() }
        );
        assert_eq!(identity("1000"), identity("app"));
    }

    #[test]
    fn an_explicit_group_leaves_no_supplementary_groups() {
        assert_eq!(identity("app:audio").groups, Vec::<u32>::new());
        assert_eq!(identity("app:audio").gid, 29);
        assert_eq!(identity("app:12345").gid, 12345);
    }

    #[test]
    fn a_number_needs_no_entry_and_has_group_root() {
        assert_eq!(identity("4242"), Identity { uid: 4242, gid: 0, groups: vec![], home: "/".into() });
        assert_eq!(resolve("4242:17", "", "").unwrap().gid, 17);
    }

    #[test]
    fn a_name_of_digits_goes_before_the_number() {
        assert_eq!(identity("7").uid, 70);
        assert_eq!(identity("7:7").gid, 72);
    }

    #[test]
    fn unknown_names_are_refused_as_such() {
        assert_eq!(resolve("nobody", PASSWD, GROUP).unwrap_err().reason, FailureReason::UserNotFound);
        assert_eq!(resolve("app:nogroup", PASSWD, GROUP).unwrap_err().reason, FailureReason::UserNotFound);
    }
}

//! Docker's `user[:group]`, resolved in the container's own files.

use std::fs;

use nix::unistd::{getegid, geteuid};
use serde::{Deserialize, Serialize};

use super::Failure;

/// The largest number for a user or group.
const MOST: u32 = i32::MAX as u32;

/// Who the process is to become.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    /// Only what may be changed is changed: nobody asked.
    pub lenient: bool,
}

/// Who the process is.
#[derive(Debug, PartialEq, Eq)]
pub struct Person {
    pub home: String,
    /// None when the process stays who the agent is.
    pub identity: Option<Identity>,
}

/// Resolves the user that was asked for (none: the one that the agent has) and additional groups.
pub fn resolve(user: Option<&str>, groups: &[String]) -> Result<Person, Failure> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let own = (geteuid().as_raw(), getegid().as_raw());
    Files { passwd: read("/etc/passwd"), group: read("/etc/group") }.resolve(user, groups, own)
}

struct Files {
    passwd: String,
    group: String,
}

struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

impl Files {
    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.passwd.lines().filter_map(|line| {
            let fields: Vec<&str> = line.trim().split(':').collect();
            let home = fields.get(5).copied().unwrap_or_default();
            Some(Entry {
                name: fields.first()?,
                uid: fields.get(2)?.parse().ok()?,
                gid: fields.get(3)?.parse().ok()?,
                home,
            })
        })
    }

    fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        self.group.lines().filter_map(|line| {
            let fields: Vec<&str> = line.trim().split(':').collect();
            Some(Group {
                name: fields.first()?,
                gid: fields.get(2)?.parse().ok()?,
                members: fields.get(3).copied().unwrap_or_default(),
            })
        })
    }

    fn resolve(&self, user: Option<&str>, groups: &[String], own: (u32, u32)) -> Result<Person, Failure> {
        let asked = user.filter(|user| !user.is_empty());
        let (user, group) =
            asked.unwrap_or_default().split_once(':').unwrap_or((asked.unwrap_or_default(), ""));
        let number = user.parse::<u32>().ok();
        let entry = self.entries().find(|entry| match (user, number) {
            ("", _) => entry.uid == own.0,
            (_, Some(number)) => entry.uid == number,
            (name, None) => entry.name == name,
        });
        let (uid, mut gid) = match (&entry, number) {
            (Some(entry), _) => (entry.uid, entry.gid),
            (None, _) if user.is_empty() => own,
            // As the runtime has it: a number without an entry belongs to root's group.
            (None, Some(number)) => (in_range(number)?, 0),
            (None, None) => {
                return Err(Failure::other(format!(
                    "unable to find user {user}: no matching entries in passwd file"
                )));
            }
        };
        let mut more: Vec<u32> = Vec::new();
        if !group.is_empty() {
            gid = self.group(group)?;
        } else if let Some(entry) = &entry {
            more.extend(
                self.groups()
                    .filter(|group| group.members.split(',').any(|name| name == entry.name))
                    .map(|group| group.gid),
            );
        }
        for group in groups {
            more.push(self.group(group)?);
        }
        let home = entry.map_or("/", |entry| if entry.home.is_empty() { "/" } else { entry.home }).to_owned();
        let same = uid == own.0 && (group.is_empty() || gid == own.1) && groups.is_empty();
        if own.0 != 0 {
            return match same {
                true => Ok(Person { home, identity: None }),
                false => Err(Failure {
                    code: 126,
                    message: format!(
                        "unable to become user {}: this cloud runs the container as user {}:{}, which may not change that: permission denied",
                        asked.map_or_else(|| uid.to_string(), str::to_owned),
                        own.0,
                        own.1
                    ),
                }),
            };
        }
        let lenient = asked.is_none() && groups.is_empty();
        if lenient {
            gid = own.1;
        }
        Ok(Person { home, identity: Some(Identity { uid, gid, groups: more, lenient }) })
    }

    fn group(&self, group: &str) -> Result<u32, Failure> {
        let number = group.parse::<u32>().ok();
        let found =
            self.groups().find(|entry| number.map_or(entry.name == group, |number| entry.gid == number));
        match (found, number) {
            (Some(entry), _) => Ok(entry.gid),
            (None, Some(number)) => in_range(number),
            (None, None) => Err(Failure::other(format!(
                "unable to find group {group}: no matching entries in group file"
            ))),
        }
    }
}

fn in_range(number: u32) -> Result<u32, Failure> {
    if number > MOST {
        return Err(Failure::other(format!("uids and gids must be in range 0-{MOST}")));
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        Files {
            passwd: "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:33:33::/var/www:\nnobody:x:65534:65534::/:"
                .to_owned(),
            group: "root:x:0:\nweb:x:33:\nlog:x:4:web,other\nadm:x:5:web".to_owned(),
        }
    }

    #[allow(clippy::type_complexity)] // what a table of cases is read from
    fn become_(user: &str, groups: &[&str]) -> Result<(u32, u32, Vec<u32>, String), (i32, String)> {
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        let person = files()
            .resolve(Some(user), &groups, (0, 0))
            .map_err(|failure| (failure.code, failure.message))?;
        let identity = person.identity.unwrap();
        Ok((identity.uid, identity.gid, identity.groups, person.home))
    }

    #[test]
    fn users_and_groups_are_found_by_name_and_number() {
        assert_eq!(become_("web", &[]), Ok((33, 33, vec![4, 5], "/var/www".to_owned())));
        assert_eq!(become_("33", &[]), Ok((33, 33, vec![4, 5], "/var/www".to_owned())));
        assert_eq!(become_("web:log", &[]), Ok((33, 4, vec![], "/var/www".to_owned())));
        assert_eq!(become_("web:77", &["adm", "99"]), Ok((33, 77, vec![5, 99], "/var/www".to_owned())));
        assert_eq!(become_("1234", &[]), Ok((1234, 0, vec![], "/".to_owned())));
        assert_eq!(become_("root", &[]), Ok((0, 0, vec![], "/root".to_owned())));
    }

    #[test]
    fn who_cannot_be_found_is_named() {
        assert_eq!(
            become_("x", &[]),
            Err((128, "unable to find user x: no matching entries in passwd file".to_owned()))
        );
        assert_eq!(
            become_("web:x", &[]),
            Err((128, "unable to find group x: no matching entries in group file".to_owned()))
        );
        assert_eq!(
            become_("web", &["x"]),
            Err((128, "unable to find group x: no matching entries in group file".to_owned()))
        );
        assert_eq!(
            become_("4000000000", &[]),
            Err((128, "uids and gids must be in range 0-2147483647".to_owned()))
        );
    }

    #[test]
    fn an_agent_that_is_not_root_stays_who_it_is_or_says_that_it_must() {
        let as_web = |user: Option<&str>, groups: &[String]| files().resolve(user, groups, (33, 33));
        let stays = Person { home: "/var/www".to_owned(), identity: None };
        for user in [None, Some(""), Some("web"), Some("33"), Some("web:web")] {
            assert_eq!(as_web(user, &[]).as_ref(), Ok(&stays), "{user:?}");
        }
        for (user, groups) in
            [(Some("root"), vec![]), (Some("web:log"), vec![]), (None, vec!["log".to_owned()])]
        {
            let failure = as_web(user, &groups).unwrap_err();
            assert_eq!(failure.code, 126);
            assert!(
                failure.message.contains("33:33") && failure.message.ends_with("permission denied"),
                "{}",
                failure.message
            );
        }
    }

    #[test]
    fn without_a_wish_root_stays_root_and_takes_what_groups_it_may() {
        let person = files().resolve(None, &[], (0, 0)).unwrap();
        assert_eq!(person.home, "/root");
        assert!(person.identity.unwrap().lenient);
    }
}

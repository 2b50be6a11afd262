//! `/proc/PID/stat`.

use std::fs;

use nix::unistd::getpid;

/// What the kernel says of a process. Times in ticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    pub pid: i32,
    pub name: String,
    pub state: char,
    pub parent: i32,
    pub group: i32,
    pub session: i32,
    /// A device number.
    pub tty: i32,
    pub user_time: u64,
    pub system_time: u64,
    /// Of descendants that have ended.
    pub ended_user_time: u64,
    pub ended_system_time: u64,
    pub nice: i32,
    pub threads: u32,
    /// Since the machine's start.
    pub started: u64,
    pub virtual_bytes: u64,
    pub resident_pages: u64,
}

impl Stat {
    /// Reads the line.
    pub fn parse(line: &str) -> Option<Self> {
        // A name may contain anything.
        let (pid, rest) = line.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // As `man 5 proc` counts them: the state is the third.
        let field = |number: usize| fields.get(number - 3).copied();
        let wide = |number| field(number)?.parse::<u64>().ok();
        let number = |number| field(number)?.parse::<i32>().ok();
        Some(Self {
            pid: pid.parse().ok()?,
            name: name.to_owned(),
            state: field(3)?.chars().next()?,
            parent: number(4)?,
            group: number(5)?,
            session: number(6)?,
            tty: number(7)?,
            user_time: wide(14)?,
            system_time: wide(15)?,
            ended_user_time: wide(16)?,
            ended_system_time: wide(17)?,
            nice: number(19)?,
            threads: field(20)?.parse().ok()?,
            started: wide(22)?,
            virtual_bytes: wide(23)?,
            resident_pages: wide(24)?,
        })
    }

    /// Of one process.
    pub fn of(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// It runs no more, and waits for its parent to learn that.
    pub fn is_over(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Something has stopped it.
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }
}

/// The container's processes, in the order of their numbers: all but the agent where that is the first one, else its
/// descendants, since orphans come to it.
pub fn all() -> Vec<Stat> {
    let own = getpid().as_raw();
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut all: Vec<Stat> = numbers.filter(|pid| *pid != own).filter_map(Stat::of).collect();
    all.sort_unstable_by_key(|stat| stat.pid);
    if own == 1 { all } else { descendants(all, own) }
}

fn descendants(all: Vec<Stat>, of: i32) -> Vec<Stat> {
    let mut family = vec![of];
    let mut at = 0;
    while let Some(parent) = family.get(at).copied() {
        family.extend(all.iter().filter(|stat| stat.parent == parent).map(|stat| stat.pid));
        at += 1;
    }
    all.into_iter().filter(|stat| family[1..].contains(&stat.pid)).collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub const LINE: &str = "17 (a) b (c) S 4 18 19 34817 17 4194304 100 0 0 0 12 34 56 78 20 -5 3 0 9000 1048576 50 \
        18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0";

    #[test]
    fn any_name_leaves_the_fields_where_they_are() {
        let stat = Stat::parse(LINE).unwrap();
        assert_eq!((stat.pid, stat.name.as_str(), stat.state, stat.parent), (17, "a) b (c", 'S', 4));
        assert_eq!(
            (stat.group, stat.session, stat.tty, stat.user_time + stat.system_time),
            (18, 19, 34817, 46)
        );
        assert_eq!((stat.ended_user_time, stat.ended_system_time), (56, 78));
        assert_eq!((stat.nice, stat.threads, stat.started), (-5, 3, 9000));
        assert_eq!((stat.virtual_bytes, stat.resident_pages), (1_048_576, 50));
        assert_eq!(Stat::parse("17 (a) S"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn a_family_is_found_in_any_order() {
        let of = |pid, parent| Stat { pid, parent, ..Stat::parse(LINE).unwrap() };
        let all = vec![of(2, 9), of(3, 1), of(5, 2), of(7, 3), of(9, 1), of(11, 1000)];
        let family = |root| descendants(all.clone(), root).iter().map(|stat| stat.pid).collect::<Vec<_>>();
        assert_eq!(family(2), [5]);
        assert_eq!(family(9), [2, 5]);
        assert_eq!(family(1), [2, 3, 5, 7, 9]);
    }
}

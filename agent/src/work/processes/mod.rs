//! The container's processes.

pub mod stat;

use std::{collections::HashMap, fs, time::SystemTime};

use nix::unistd::getpid;
use rustix::{
    param::{clock_ticks_per_second, page_size},
    time::{ClockId, clock_gettime},
};
use sockerless_agent_wire::request::{ProcessInfo, Reply};

use self::stat::Stat;
use super::transfer;
use crate::{process::STAGE, shared::Channel};

/// Pseudo-terminals: the first of their device classes.
const TERMINALS: u32 = 136;

/// Lists them.
pub async fn list(channel: Channel) {
    let list = transfer::work(|| Ok(listed())).await;
    channel.answer(list.map_or_else(Reply::Failed, |list| Reply::Processes { list }));
}

fn listed() -> Vec<ProcessInfo> {
    let own = getpid().as_raw();
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let names = names(&passwd);
    let clock = Clock::now();
    let processes = stat::all().into_iter();
    let described = processes.filter_map(|stat| {
        let command = fs::read(format!("/proc/{}/cmdline", stat.pid)).ok()?;
        let command = arguments(&command);
        // It is about to become one of the container's.
        if stat.parent == own && command.get(1).is_some_and(|word| word == STAGE) {
            return None;
        }
        let status = fs::read_to_string(format!("/proc/{}/status", stat.pid)).ok()?;
        Some(describe(stat, own, &status, command, &names, &clock))
    });
    described.collect()
}

fn describe(
    stat: Stat,
    own: i32,
    status: &str,
    command: Vec<String>,
    names: &HashMap<u32, &str>,
    clock: &Clock,
) -> ProcessInfo {
    let uid = effective(status, "Uid:");
    ProcessInfo {
        pid: stat.pid,
        parent: if stat.parent == own { 0 } else { stat.parent },
        group: stat.group,
        session: stat.session,
        uid,
        gid: effective(status, "Gid:"),
        user: names.get(&uid).map_or_else(|| uid.to_string(), |name| (*name).to_owned()),
        state: stat.state,
        tty: terminal(stat.tty),
        started: clock.time(stat.started),
        user_time: clock.milliseconds(stat.user_time),
        system_time: clock.milliseconds(stat.system_time),
        virtual_bytes: stat.virtual_bytes,
        resident_bytes: stat.resident_pages.saturating_mul(page_size() as u64),
        nice: stat.nice,
        threads: stat.threads,
        name: stat.name,
        command,
    }
}

fn names(passwd: &str) -> HashMap<u32, &str> {
    let mut names = HashMap::new();
    for line in passwd.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(uid)) = (fields.next(), fields.nth(1).and_then(|uid| uid.parse().ok())) {
            names.entry(uid).or_insert(name);
        }
    }
    names
}

fn arguments(cmdline: &[u8]) -> Vec<String> {
    let words = cmdline.strip_suffix(b"\0").unwrap_or(cmdline);
    match words {
        b"" => Vec::new(),
        words => {
            words.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
        }
    }
}

/// The second number of a line: real, effective, saved, file system.
fn effective(status: &str, key: &str) -> u32 {
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or_default()
}

fn terminal(device: i32) -> String {
    let device = device.cast_unsigned();
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
    match (major, minor) {
        (TERMINALS..=143, _) => format!("pts/{}", (major - TERMINALS) * 256 + minor),
        (4, 0..=63) => format!("tty{minor}"),
        (5, 1) => "console".to_owned(),
        _ => String::new(),
    }
}

/// Turns the kernel's ticks into times.
struct Clock {
    ticks: u64,
    /// When the machine began, milliseconds since 1970.
    boot: u64,
    now: u64,
}

impl Clock {
    fn now() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let up = clock_gettime(ClockId::Boottime);
        let up = up.tv_sec.unsigned_abs() * 1000 + up.tv_nsec.unsigned_abs() / 1_000_000;
        Self { ticks: clock_ticks_per_second().max(1), boot: now.saturating_sub(up), now }
    }

    fn milliseconds(&self, ticks: u64) -> u64 {
        ticks.saturating_mul(1000) / self.ticks
    }

    /// Some sandboxes count from elsewhere; nothing has begun in the future.
    fn time(&self, ticks: u64) -> u64 {
        self.boot.saturating_add(self.milliseconds(ticks)).min(self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_described() {
        let stat = Stat::parse(stat::tests::LINE).unwrap();
        let names = names("root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:\nother:x:33:33::/:\nbroken");
        let clock = Clock { ticks: 100, boot: 1_000_000, now: 2_000_000 };
        let status = "Name:\tx\nUid:\t0\t33\t0\t0\nGid:\t1\t7\t1\t1\n";
        let info = describe(stat, 4, status, arguments(b"sh\0-c\0\0"), &names, &clock);
        assert_eq!((info.pid, info.parent, info.uid, info.gid, info.user.as_str()), (17, 0, 33, 7, "web"));
        assert_eq!((info.started, info.user_time, info.system_time), (1_090_000, 120, 340));
        assert_eq!(
            (info.tty.as_str(), info.command),
            ("pts/1", vec!["sh".into(), "-c".into(), String::new()])
        );
        assert_eq!(info.resident_bytes, 50 * page_size() as u64);
        assert_eq!(clock.time(u64::MAX / 2000), 2_000_000);
    }

    #[test]
    fn terminals_have_names() {
        let name = |major: u32, minor: u32| {
            terminal(((minor & 0xff) | (major << 8) | ((minor & 0xfff00) << 12)).cast_signed())
        };
        assert_eq!(name(136, 0), "pts/0");
        assert_eq!(name(137, 3), "pts/259");
        assert_eq!(name(136, 300), "pts/300");
        assert_eq!(name(4, 1), "tty1");
        assert_eq!(terminal(0), "");
    }

    #[test]
    fn a_kernel_thread_has_no_arguments() {
        assert_eq!(arguments(b""), Vec::<String>::new());
        assert_eq!(arguments(b"a\0"), ["a"]);
    }

    #[test]
    fn this_process_has_children_that_are_seen() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = child.id().cast_signed();
        let found = listed().into_iter().find(|process| process.pid == pid);
        child.kill().unwrap();
        child.wait().unwrap();
        let found = found.unwrap();
        assert_eq!((found.parent, found.threads), (0, 1));
        let now = Clock::now().now;
        assert!(found.started <= now && found.started + 60_000 > now);
    }
}

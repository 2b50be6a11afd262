//! What the kernel counts for the container's control group.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sockerless_agent_wire::request::Sample;

use super::keyed;

/// Where a group's files are.
#[derive(Debug, PartialEq, Eq)]
pub enum Group {
    /// One hierarchy.
    Two(PathBuf),
    /// One for each controller.
    One { cpu: Option<PathBuf>, memory: Option<PathBuf>, pids: Option<PathBuf>, block: Option<PathBuf> },
}

impl Group {
    /// The agent's own, if it can be seen and is the container's alone.
    pub fn find() -> Option<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self::at(Path::new("/"), &read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
    }

    fn at(root: &Path, mounts: &str, groups: &str) -> Option<Self> {
        let mounts: Vec<Mount> = mounts.lines().filter_map(mount).collect();
        let place = |mount: &Mount, group: &str| {
            let point = root.join(mount.point.trim_start_matches('/'));
            // Seen from within, a group's path may begin outside of what is mounted.
            let below = point.join(Path::new(group).strip_prefix(mount.root).ok()?);
            let place = if below.join("cgroup.procs").exists() { below } else { point };
            is_own(&place).then_some(place)
        };
        let one = |controller: &str| {
            let mount = mounts.iter().find(|mount| {
                mount.kind == "cgroup" && mount.options.split(',').any(|option| option == controller)
            })?;
            let group = groups.lines().find_map(|line| {
                let (controllers, group) = line.split_once(':')?.1.split_once(':')?;
                controllers.split(',').any(|name| name == controller).then_some(group)
            })?;
            place(mount, group)
        };
        let unified = mounts.iter().find(|mount| mount.kind == "cgroup2");
        let group = groups.lines().find_map(|line| line.strip_prefix("0::"));
        if let (Some(mount), Some(group)) = (unified, group)
            && let Some(place) = place(mount, group)
            && place.join("memory.current").exists()
        {
            return Some(Self::Two(place));
        }
        match (one("cpuacct"), one("memory"), one("pids"), one("blkio")) {
            (None, None, ..) => None,
            (cpu, memory, pids, block) => Some(Self::One { cpu, memory, pids, block }),
        }
    }

    /// Fills in what the group counts; what it does not count stays as it is.
    pub fn measure(&self, sample: &mut Sample) {
        match self {
            Self::Two(place) => two(place, sample),
            Self::One { cpu, memory, pids, block } => {
                cpu.iter().for_each(|place| one_cpu(place, sample));
                memory.iter().for_each(|place| one_memory(place, sample));
                pids.iter().for_each(|place| count_pids(place, sample));
                block.iter().for_each(|place| one_block(place, sample));
            }
        }
    }
}

struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

fn mount(line: &str) -> Option<Mount<'_>> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let mut after = after.split(' ');
    Some(Mount { root: before.next()?, point: before.next()?, kind: after.next()?, options: after.nth(1)? })
}

/// A group that has processes outside of this container, too, counts them: they show as 0. And one that this process is
/// not in counts others.
fn is_own(place: &Path) -> bool {
    let processes = fs::read_to_string(place.join("cgroup.procs")).unwrap_or_default();
    let own = std::process::id().to_string();
    processes.lines().any(|line| line == own) && processes.lines().all(|line| line != "0")
}

fn read(place: &Path, file: &str) -> String {
    fs::read_to_string(place.join(file)).unwrap_or_default()
}

/// A file of one number; none for `max` and what is no number.
fn number(place: &Path, file: &str) -> Option<u64> {
    read(place, file).trim().parse().ok()
}

fn two(place: &Path, sample: &mut Sample) {
    let cpu = keyed(&read(place, "cpu.stat"));
    let find = |name: &str| cpu.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
    if let Some(total) = find("usage_usec") {
        sample.cpu_total = total * 1000;
        sample.cpu_user = find("user_usec").unwrap_or_default() * 1000;
        sample.cpu_system = find("system_usec").unwrap_or_default() * 1000;
    }
    let throttling =
        ["nr_periods", "nr_throttled", "throttled_usec"].map(|name| find(name).unwrap_or_default());
    sample.throttling = [throttling[0], throttling[1], throttling[2] * 1000];
    if let Some(memory) = number(place, "memory.current") {
        sample.memory = memory;
        sample.memory_detail = keyed(&read(place, "memory.stat"));
    }
    limit(sample, number(place, "memory.max"));
    count_pids(place, sample);
    for line in read(place, "io.stat").lines() {
        let mut words = line.split(' ');
        let Some(device) = words.next().and_then(device) else { continue };
        for word in words {
            let operation = match word.split_once('=') {
                Some(("rbytes", value)) => value.parse().ok().map(|bytes| ("read", bytes)),
                Some(("wbytes", value)) => value.parse().ok().map(|bytes| ("write", bytes)),
                _ => None,
            };
            if let Some((operation, bytes)) = operation {
                sample.block.push((device.0, device.1, operation.to_owned(), bytes));
            }
        }
    }
}

fn one_cpu(place: &Path, sample: &mut Sample) {
    let Some(total) = number(place, "cpuacct.usage") else { return };
    sample.cpu_total = total;
    sample.cpu_user = number(place, "cpuacct.usage_user").unwrap_or_default();
    sample.cpu_system = number(place, "cpuacct.usage_sys").unwrap_or_default();
    let throttling = keyed(&read(place, "cpu.stat"));
    let find = |name: &str| throttling.iter().find(|(key, _)| key == name).map_or(0, |(_, value)| *value);
    sample.throttling = [find("nr_periods"), find("nr_throttled"), find("throttled_time")];
}

fn one_memory(place: &Path, sample: &mut Sample) {
    let Some(memory) = number(place, "memory.usage_in_bytes") else { return };
    sample.memory = memory;
    sample.memory_detail = keyed(&read(place, "memory.stat"));
    // Without a limit it is the largest number of pages.
    limit(sample, number(place, "memory.limit_in_bytes"));
}

fn limit(sample: &mut Sample, limit: Option<u64>) {
    if let Some(limit) = limit
        && (sample.memory_limit == 0 || limit < sample.memory_limit)
    {
        sample.memory_limit = limit;
    }
}

fn count_pids(place: &Path, sample: &mut Sample) {
    if let Some(pids) = number(place, "pids.current") {
        sample.pids = pids;
        sample.pids_limit = number(place, "pids.max").unwrap_or_default();
    }
}

fn one_block(place: &Path, sample: &mut Sample) {
    for line in read(place, "blkio.throttle.io_service_bytes").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if let [at, operation @ ("Read" | "Write"), bytes] = words[..]
            && let (Some((major, minor)), Ok(bytes)) = (device(at), bytes.parse())
        {
            sample.block.push((major, minor, operation.to_lowercase(), bytes));
        }
    }
}

fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    #[test]
    fn the_second_generation_is_read() {
        let own = format!("{}\n", std::process::id());
        let folder = group(&[
            ("sys/fs/cgroup/cgroup.procs", &own),
            (
                "sys/fs/cgroup/cpu.stat",
                "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 5\nnr_throttled 2\nthrottled_usec 7\n",
            ),
            ("sys/fs/cgroup/memory.current", "4096\n"),
            ("sys/fs/cgroup/memory.max", "max\n"),
            ("sys/fs/cgroup/memory.stat", "anon 1000\ninactive_file 96\n"),
            ("sys/fs/cgroup/pids.current", "3\n"),
            ("sys/fs/cgroup/pids.max", "max\n"),
            ("sys/fs/cgroup/io.stat", "8:0 rbytes=10 wbytes=20 rios=1 wios=1 dbytes=0\n"),
        ]);
        let mounts = "30 1 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n";
        let group = Group::at(folder.path(), mounts, "0::/\n").unwrap();
        let mut sample = Sample { memory_limit: 1 << 30, ..Sample::default() };
        group.measure(&mut sample);
        assert_eq!((sample.cpu_total, sample.cpu_user, sample.cpu_system), (30_000, 20_000, 10_000));
        assert_eq!(sample.throttling, [5, 2, 7000]);
        assert_eq!((sample.memory, sample.memory_limit), (4096, 1 << 30));
        assert_eq!(sample.memory_detail, [("anon".to_owned(), 1000), ("inactive_file".to_owned(), 96)]);
        assert_eq!((sample.pids, sample.pids_limit), (3, 0));
        assert_eq!(sample.block, [(8, 0, "read".to_owned(), 10), (8, 0, "write".to_owned(), 20)]);
    }

    #[test]
    fn the_first_generation_is_read_where_its_controllers_are() {
        let own = format!("{}\n", std::process::id());
        let folder = group(&[
            ("cg/cpu/job/cgroup.procs", &own),
            ("cg/cpu/job/cpuacct.usage", "300\n"),
            ("cg/cpu/job/cpuacct.usage_user", "200\n"),
            ("cg/cpu/job/cpuacct.usage_sys", "100\n"),
            ("cg/cpu/job/cpu.stat", "nr_periods 1\nnr_throttled 1\nthrottled_time 9\n"),
            ("cg/memory/cgroup.procs", &own),
            ("cg/memory/memory.usage_in_bytes", "8192\n"),
            ("cg/memory/memory.limit_in_bytes", "1000000\n"),
            ("cg/memory/memory.stat", "cache 1\ntotal_inactive_file 2\n"),
            ("cg/blkio/job/cgroup.procs", &own),
            (
                "cg/blkio/job/blkio.throttle.io_service_bytes",
                "8:0 Read 5\n8:0 Write 6\n8:0 Sync 1\nTotal 11\n",
            ),
        ]);
        let mounts = "1 1 0:1 / /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
            2 1 0:2 /docker/x /cg/memory rw - cgroup cgroup rw,memory\n\
            3 1 0:3 / /cg/blkio rw - cgroup cgroup rw,blkio\n";
        let groups = "4:blkio:/job\n3:cpu,cpuacct:/job\n2:memory:/docker/x\n0::/\n";
        let group = Group::at(folder.path(), mounts, groups).unwrap();
        let mut sample = Sample { memory_limit: 1 << 30, ..Sample::default() };
        group.measure(&mut sample);
        assert_eq!((sample.cpu_total, sample.cpu_user, sample.cpu_system), (300, 200, 100));
        assert_eq!((sample.memory, sample.memory_limit), (8192, 1_000_000));
        assert_eq!(sample.throttling, [1, 1, 9]);
        assert_eq!(sample.block, [(8, 0, "read".to_owned(), 5), (8, 0, "write".to_owned(), 6)]);
    }

    #[test]
    fn a_group_that_others_share_counts_for_nothing() {
        let own = std::process::id();
        for processes in [format!("0\n{own}\n"), "1\n2\n".to_owned(), String::new()] {
            let folder = group(&[("cg/cgroup.procs", &processes), ("cg/memory.current", "1\n")]);
            let mounts = "1 1 0:1 / /cg rw - cgroup2 cgroup rw\n";
            assert_eq!(Group::at(folder.path(), mounts, "0::/\n"), None, "{processes:?}");
        }
    }
}

//! Limits by control groups, version 1 or 2, whichever carries the controller on this machine.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::tuning::CPU_PERIOD;

/// The executor's own groups: below each of them a task gets one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cgroups {
    memory: Option<(Version, PathBuf)>,
    cpu: Option<(Version, PathBuf)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Version {
    One,
    Two,
}

/// A task's limits and where they are set.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct CgroupPlan {
    memory: Option<(Version, PathBuf)>,
    cpu: Option<(Version, PathBuf)>,
    memory_bytes: Option<u64>,
    cpu_millis: Option<u32>,
}

impl Cgroups {
    /// Makes a group named `name` in each hierarchy that has a controller for us. What cannot be
    /// had is left out.
    pub(crate) fn open(name: &str) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let hierarchies = hierarchies(&mounts);
        let find = |controller: &str| {
            hierarchies.iter().find_map(|(version, root, controllers)| {
                let group = root.join(name);
                let usable = match version {
                    Version::One => controllers.iter().any(|have| have == controller) && make(&group).is_ok(),
                    Version::Two => make_unified(root, &group, controller).is_ok(),
                };
                usable.then_some((*version, group))
            })
        };
        Self { memory: find("memory"), cpu: find("cpu") }
    }

    pub(crate) fn has_memory(&self) -> bool {
        self.memory.is_some()
    }

    pub(crate) fn has_cpu(&self) -> bool {
        self.cpu.is_some()
    }

    pub(crate) fn plan(&self, memory_bytes: Option<u64>, cpu_millis: Option<u32>) -> CgroupPlan {
        CgroupPlan { memory: self.memory.clone(), cpu: self.cpu.clone(), memory_bytes, cpu_millis }
    }

    /// Ends what still runs in left-over groups of tasks and removes them.
    pub(crate) fn clear(&self) {
        for group in self.groups() {
            for task in fs::read_dir(group).into_iter().flatten().flatten() {
                for pid in fs::read_to_string(task.path().join("cgroup.procs")).unwrap_or_default().lines() {
                    if let Ok(pid) = pid.parse() {
                        let _ = nix::sys::signal::kill(
                            nix::unistd::Pid::from_raw(pid),
                            nix::sys::signal::SIGKILL,
                        );
                    }
                }
                let _ = fs::remove_dir(task.path());
            }
        }
    }

    /// Removes the executor's groups.
    pub(crate) fn remove(&self) {
        self.clear();
        for group in self.groups() {
            let _ = fs::remove_dir(group);
        }
    }

    fn groups(&self) -> Vec<&PathBuf> {
        let mut groups: Vec<_> =
            [&self.memory, &self.cpu].into_iter().flatten().map(|(_, group)| group).collect();
        groups.dedup();
        groups
    }
}

/// (version, mount point, controllers of version 1) of each mounted hierarchy.
fn hierarchies(mountinfo: &str) -> Vec<(Version, PathBuf, Vec<String>)> {
    let parse = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let point = PathBuf::from(left.split(' ').nth(4)?);
        let mut right = right.split(' ');
        match right.next()? {
            "cgroup2" => Some((Version::Two, point, Vec::new())),
            "cgroup" => Some((Version::One, point, right.nth(1)?.split(',').map(str::to_owned).collect())),
            _ => None,
        }
    };
    mountinfo.lines().filter_map(parse).collect()
}

fn make(group: &Path) -> io::Result<()> {
    match fs::create_dir(group) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Version 2 hands a controller down level by level.
fn make_unified(root: &Path, group: &Path, controller: &str) -> io::Result<()> {
    let has = |file: PathBuf| -> io::Result<bool> {
        Ok(fs::read_to_string(file)?.split_whitespace().any(|have| have == controller))
    };
    if !has(root.join("cgroup.controllers"))? {
        return Err(io::ErrorKind::NotFound.into());
    }
    let enable = format!("+{controller}");
    if !has(root.join("cgroup.subtree_control"))? {
        fs::write(root.join("cgroup.subtree_control"), &enable)?;
    }
    make(group)?;
    fs::write(group.join("cgroup.subtree_control"), &enable)
}

/// A task's groups, in its keeper.
pub(crate) struct TaskCgroup {
    memory: Option<(Version, PathBuf)>,
    cpu: Option<(Version, PathBuf)>,
}

impl TaskCgroup {
    /// Makes the groups that the plan's limits ask for.
    pub(crate) fn create(plan: &CgroupPlan, task: &str) -> io::Result<Self> {
        let child = |parent: &Option<(Version, PathBuf)>| -> io::Result<Option<(Version, PathBuf)>> {
            let Some((version, parent)) = parent else { return Ok(None) };
            let group = parent.join(task);
            make(&group)?;
            Ok(Some((*version, group)))
        };
        let cgroup = Self {
            memory: if plan.memory_bytes.is_some() { child(&plan.memory)? } else { None },
            cpu: if plan.cpu_millis.is_some() { child(&plan.cpu)? } else { None },
        };
        if let (Some((version, group)), Some(bytes)) = (&cgroup.memory, plan.memory_bytes) {
            limit_memory(*version, group, bytes)?;
        }
        if let (Some((version, group)), Some(millis)) = (&cgroup.cpu, plan.cpu_millis) {
            let quota = (u64::from(millis) * CPU_PERIOD / 1000).max(1000);
            match version {
                Version::One => {
                    fs::write(group.join("cpu.cfs_period_us"), CPU_PERIOD.to_string())?;
                    fs::write(group.join("cpu.cfs_quota_us"), quota.to_string())?;
                }
                Version::Two => fs::write(group.join("cpu.max"), format!("{quota} {CPU_PERIOD}"))?,
            }
        }
        Ok(cgroup)
    }

    /// Moves a process in.
    pub(crate) fn attach(&self, pid: u32) -> io::Result<()> {
        for (_, group) in [&self.memory, &self.cpu].into_iter().flatten() {
            fs::write(group.join("cgroup.procs"), pid.to_string())?;
        }
        Ok(())
    }

    /// Whether the kernel killed something for the memory limit.
    pub(crate) fn out_of_memory(&self) -> bool {
        let Some((version, group)) = &self.memory else { return false };
        let file = match version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        fs::read_to_string(group.join(file))
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.strip_prefix("oom_kill "))
            .any(|count| count.trim() != "0")
    }

    /// Removes the groups; all processes in them are gone.
    pub(crate) fn remove(self) {
        for (_, group) in [&self.memory, &self.cpu].into_iter().flatten() {
            let _ = fs::remove_dir(group);
        }
    }
}

fn limit_memory(version: Version, group: &Path, bytes: u64) -> io::Result<()> {
    // Swap counts as memory; a kernel that does not account it has no such file.
    let without_swap = |file: &str, value: &str| match fs::write(group.join(file), value) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    match version {
        Version::One => {
            fs::write(group.join("memory.limit_in_bytes"), bytes.to_string())?;
            without_swap("memory.memsw.limit_in_bytes", &bytes.to_string())
        }
        Version::Two => {
            fs::write(group.join("memory.max"), bytes.to_string())?;
            without_swap("memory.swap.max", "0")?;
            // A cloud ends the container, not one process of it.
            without_swap("memory.oom.group", "1")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_both_versions_are_found() {
        let mountinfo = "30 20 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                         31 20 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                         32 20 0:28 / /proc rw - proc proc rw\n";
        assert_eq!(
            hierarchies(mountinfo),
            vec![
                (Version::One, "/sys/fs/cgroup/memory".into(), vec!["rw".into(), "memory".into()]),
                (Version::Two, "/sys/fs/cgroup/unified".into(), vec![]),
            ]
        );
    }
}

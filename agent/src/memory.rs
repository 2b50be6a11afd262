//! Whether the kernel ended something for want of memory.

use std::fs;

/// How many processes of this container that has happened to; none where the kernel does not say (an own cgroup is
/// seen at these places in a container with its own cgroup namespace or mount).
pub fn killed() -> Option<u64> {
    // cgroup v2, then v1.
    ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"]
        .iter()
        .find_map(|path| count(&fs::read_to_string(path).ok()?))
}

fn count(events: &str) -> Option<u64> {
    events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn both_generations_of_cgroups_are_read() {
        assert_eq!(count("low 0\nhigh 0\nmax 3\noom 3\noom_kill 2\noom_group_kill 0\n"), Some(2));
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"), Some(7));
        assert_eq!(count("oom_kill_disable 0\n"), None);
    }
}

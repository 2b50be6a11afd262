//! What a user hears who asks a cloud for what it has not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sockerless_tests::{Daemon, Need, backend, limits::LIMITS, needs};

#[test]
fn each_limit_of_the_cloud_is_told_to_who_asks_for_more() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    for limit in LIMITS.iter().filter(|limit| limit.backend == backend().name) {
        let (words, script) = limit.demand.split_once(" sh: ").unwrap_or((limit.demand, ""));
        let mut command: Vec<&str> = words.split_whitespace().collect();
        if !script.is_empty() {
            command.extend(["sh", "-c", script]);
        }
        let output = docker.args(&command);
        assert_eq!(output.code, limit.code, "{:?}: {output:?}", limit.need);
        assert!(output.stderr.contains(limit.words), "{:?}: {output:?}", limit.need);
    }
}

#[test]
fn a_file_system_in_memory_is_in_memory() {
    if !needs(Need::MemoryVolumes) {
        return;
    }
    let daemon = Daemon::with_busybox();
    let find = "grep -c '^[a-z]* /scratch tmpfs ' /proc/mounts";
    let run = ["run", "--rm", "--tmpfs", "/scratch", "busybox", "sh", "-c", find];
    assert_eq!(daemon.docker().args(run).ok(), "1");
}

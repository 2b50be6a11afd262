//! `docker top` and `docker stats`, as a user types them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};

use sockerless_tests::{Daemon, until};

#[test]
fn top_lists_the_containers_processes_and_nobody_elses() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker
        .args(["run", "-d", "--name", "box", "busybox", "sh", "-c", "sleep 100000 & exec sleep 200000"])
        .ok();
    let top = |args: &str| docker.run(&format!("top box {args}")).ok();
    let columns = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    // Until it executes something else, a child shows its parent's arguments.
    until("the second process", || top("").trim_end().ends_with(" sleep 100000").then_some(()));
    let text = top("");
    let lines: Vec<String> = text.lines().map(columns).collect();
    assert_eq!(lines[0], "UID PID PPID C STIME TTY TIME CMD");
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[1].starts_with("root ") && lines[1].ends_with(" sleep 200000"), "{text}");
    assert!(lines[2].ends_with(" sleep 100000"), "{text}");
    assert!(columns(&top("aux")).starts_with("USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND root "));
    let pids = top("-o pid,ppid,args");
    let rows: Vec<Vec<&str>> = pids.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[2][1], rows[1][0], "the second is the first one's child: {pids}");
    // The numbers are those that a process in the container would signal.
    docker.run(&format!("exec box kill {}", rows[2][0])).ok();
    assert!(!docker.run("exec box ps").ok().contains("sleep 100000"));

    let mut other = docker.spawn(["exec", "-i", "-u", "nobody", "box", "cat"]);
    let listed = || top("-u nobody -o pid,user,cmd").lines().map(columns).collect::<Vec<_>>();
    until("the command as nobody", || (listed().len() == 2).then_some(()));
    assert!(listed()[1].ends_with(" nobody cat"), "{:?}", listed());
    drop(other.stdin.take());
    other.wait().unwrap();
    let words = docker.run("top box --bogus").fails(1);
    assert!(words.contains("ps: error: unknown gnu long option"), "{words}");
    let words = docker.run("top box -o args").fails(1);
    assert!(words.contains("Couldn't find PID field in ps output"), "{words}");
    docker.run("kill box").ok();
    let words = docker.run("top box").fails(1);
    assert!(words.contains("is not running"), "{words}");
}

#[test]
fn stats_show_what_is_used_once_and_as_it_goes() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.args(["run", "-d", "--name", "busy", "busybox", "sh", "-c", "while :; do :; done"]).ok();
    docker.run("run -d --name idle busybox sleep 100000").ok();
    docker.run("create --name off busybox true").ok();
    let format = "{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.PIDs}}|{{.NetIO}}|{{.BlockIO}}";
    let once = docker.args(["stats", "--no-stream", "--format", format, "busy", "idle", "off"]).ok();
    let rows: Vec<Vec<&str>> = once.lines().map(|line| line.split('|').collect()).collect();
    let percent = |row: &[&str]| row[1].trim_end_matches('%').parse::<f64>().unwrap();
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), ["busy", "idle", "off"]);
    assert!(percent(&rows[0]) > 1.0 && percent(&rows[0]) > percent(&rows[1]), "{once}");
    for row in &rows[..2] {
        assert!(!row[2].starts_with("0B") && row[3] != "0", "{once}");
    }
    assert_eq!(rows[2][1..4], ["0.00%", "0B / 0B", "0"], "{once}");
    let all = docker.args(["stats", "--no-stream", "--all", "--format", "{{.Name}}"]).ok();
    assert_eq!(all.lines().count(), 3, "{all}");

    // Without names it follows those that run, and those that come.
    let mut stream = docker.spawn(["stats", "--format", "{{.Name}}={{.PIDs}};"]);
    let mut lines = BufReader::new(stream.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut shows = |wanted: &str| lines.by_ref().any(|line| line.contains(wanted));
    assert!(shows("busy=") && shows("idle="));
    docker.run("run -d --name late busybox sleep 100000").ok();
    assert!(shows("late="));
    stream.kill().unwrap();
    stream.wait().unwrap();
}

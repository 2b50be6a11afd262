//! `docker run`, as a user types it: commands, exit codes, streams, options.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
};

use serde_json::json;
use sockerless_tests::{
    Daemon,
    images::{self, ImageSpec},
};

#[test]
fn a_command_runs_and_its_output_arrives() {
    let daemon = Daemon::with_busybox();
    assert_eq!(daemon.docker().run("run --rm busybox echo hello").ok(), "hello");
    assert_eq!(daemon.docker().run("ps --all --quiet").ok(), "", "--rm leaves nothing");
}

#[test]
fn exit_codes_are_exact() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    for code in [0, 1, 7, 42, 255] {
        let output = docker.args(["run", "--rm", "busybox", "sh", "-c", &format!("exit {code}")]);
        assert_eq!(output.code, code, "{}", output.stderr);
    }
    let output = docker.args(["run", "--rm", "busybox", "sh", "-c", "kill -9 $$"]);
    assert_eq!(output.code, 137, "{}", output.stderr);
    let output = docker.args(["run", "--rm", "busybox", "sh", "-c", "kill -TERM $$"]);
    assert_eq!(output.code, 143, "{}", output.stderr);
}

#[test]
fn a_command_that_is_not_there_is_127_and_one_that_cannot_be_executed_is_126() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let words = docker.run("run --rm busybox no-such-command").fails(127);
    assert!(words.contains(r#"exec: "no-such-command": executable file not found in $PATH"#), "{words}");
    let words = docker.run("run --rm busybox /no/such/path").fails(127);
    assert!(words.contains("no such file or directory"), "{words}");
    let words = docker.run("run --rm busybox /etc/passwd").fails(126);
    assert!(words.contains("permission denied"), "{words}");
    let words = docker.run("run --name kept busybox no-such-command").fails(127);
    assert!(words.contains("executable file not found"), "{words}");
    assert_eq!(docker.run("inspect --format {{.State.Status}}/{{.State.ExitCode}} kept").ok(), "created/127");
}

#[test]
fn standard_input_reaches_the_command_and_its_end_too() {
    let daemon = Daemon::with_busybox();
    assert_eq!(daemon.docker().with_input(["run", "-i", "--rm", "busybox", "cat"], b"x\n").ok(), "x");
    let output =
        daemon.docker().with_input(["run", "-i", "--rm", "busybox", "wc", "-c"], &vec![b'a'; 3_000_000]);
    assert_eq!(output.ok(), "3000000");
}

#[test]
fn standard_output_and_error_stay_apart() {
    let daemon = Daemon::with_busybox();
    let output = daemon.docker().args(["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
}

#[test]
fn a_hundred_megabytes_arrive_byte_for_byte() {
    let daemon = Daemon::with_busybox();
    // Numbered lines: a lost, doubled or moved piece changes the sum.
    let script = "seq 1 20000000 | head -c 100000000";
    let arrived =
        digest(&mut daemon.docker().command(["run", "--name", "big", "busybox", "sh", "-c", script]));
    let expected = digest(Command::new("sh").args(["-c", script]));
    assert_eq!(arrived, expected);
    assert_eq!(digest(&mut daemon.docker().command(["logs", "big"])), expected);
}

/// How much a command writes, and what.
fn digest(command: &mut Command) -> (usize, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.stdout.len(), images::sha256(&output.stdout))
}

#[test]
fn a_terminal_is_one_and_follows_its_size() {
    let daemon = Daemon::with_busybox();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/terminal.py");
    let mut command = Command::new("python3");
    command.arg(script);
    let docker = daemon.docker().command(["run", "-it", "--rm", "busybox", "sh"]);
    command.envs(docker.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output: sockerless_tests::Output = command.stdin(Stdio::null()).output().unwrap().into();
    output.ok();
}

#[test]
fn options_of_run_have_their_effect() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let shell = |options: &[&str], script: &str| {
        docker.args([&["run", "--rm"], options, &["busybox", "sh", "-c", script]].concat()).ok()
    };
    assert_eq!(shell(&["-e", "A=1 2", "-e", "B=x=y"], "echo \"$A|$B\""), "1 2|x=y");
    assert_eq!(shell(&["-w", "/made/on/the/way"], "pwd"), "/made/on/the/way");
    assert_eq!(shell(&["-u", "65534:50"], "id -u; id -g"), "65534\n50");
    assert_eq!(shell(&["-u", "nobody"], "id -un; echo $HOME"), "nobody\n/home");
    assert_eq!(shell(&["--init"], "echo one"), "one");
    assert_eq!(docker.run("run --rm --entrypoint echo busybox a b").ok(), "a b");
    assert_eq!(docker.run("run --rm --name named --label a=b busybox true").ok(), "");
    assert_eq!(shell(&["--tmpfs", "/scratch"], "touch /scratch/x && grep -c ' /scratch ' /proc/mounts"), "1");
    assert_eq!(shell(&["--memory", "256m", "--cpus", "0.5"], "echo fits"), "fits");
}

#[test]
fn the_environment_is_the_images_with_ours_on_top_and_nothing_of_the_cloud() {
    let daemon = Daemon::start();
    let spec = ImageSpec::new("environment:1")
        .with("Env", json!(["PATH=/bin", "KEPT=image", "CHANGED=image"]))
        .with("WorkingDir", json!("/var"))
        .with("Entrypoint", json!(["/bin/env"]))
        .with("Cmd", json!([]));
    daemon.load(&spec);
    let text = daemon.docker().run("run --rm --hostname box -e CHANGED=user environment:1").ok();
    let mut names: Vec<&str> = text.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["CHANGED=user", "HOME=/root", "HOSTNAME=box", "KEPT=image", "PATH=/bin"]);
}

#[test]
fn what_the_cloud_cannot_do_is_a_warning() {
    let daemon = Daemon::with_busybox();
    let output = daemon.docker().run("run --rm --privileged --read-only --hostname box busybox echo done");
    assert_eq!(output.stdout, "done\n");
    for word in ["privileged", "read-only", "host name"] {
        assert!(output.stderr.to_lowercase().contains(word), "no warning about {word}: {}", output.stderr);
    }
}

#[test]
fn an_image_with_a_user_of_its_own_runs_as_that_user() {
    let daemon = Daemon::start();
    daemon.load(&ImageSpec::new("own-user:1").with("User", json!("nobody")).with("Cmd", json!(["id", "-u"])));
    assert_eq!(daemon.docker().run("run --rm own-user:1").ok(), "65534");
}

#[test]
fn fifty_runs_at_once_all_come_to_their_own_end() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..50)
            .map(|number: i32| {
                let docker = &docker;
                scope.spawn(move || {
                    let script = format!("echo {number}; exit {number}");
                    (number, docker.args(["run", "--rm", "busybox", "sh", "-c", &script]))
                })
            })
            .collect();
        for run in runs {
            let (number, output) = run.join().unwrap();
            assert_eq!((output.code, output.stdout), (number, format!("{number}\n")), "{}", output.stderr);
        }
    });
    assert_eq!(docker.run("ps --all --quiet").ok(), "");
}

#[test]
fn ctrl_c_ends_the_container() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    let mut child = docker.spawn([
        "run",
        "--name",
        "waits",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 5' INT; echo up; while :; do sleep 0.05; done",
    ]);
    let mut first = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(5));
    assert_eq!(docker.run("inspect --format {{.State.Status}}/{{.State.ExitCode}} waits").ok(), "exited/5");
}

#[test]
fn a_detached_container_keeps_its_input_for_attach() {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker.run("run -d -i --name cat busybox cat").ok();
    let mut child = docker.spawn(["attach", "cat"]);
    child.stdin.as_mut().unwrap().write_all(b"through\n").unwrap();
    let mut line = [0; 8];
    child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    assert_eq!(&line, b"through\n");
    docker.run("kill cat").ok();
    child.wait().unwrap();
}

//! `docker exec`, as a user types it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use sockerless_tests::{Daemon, Docker, Output, images};

/// Patience of a test for what has to come; it fails after that.
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon with a container named `box` that waits.
fn running() -> (Daemon, Docker) {
    let daemon = Daemon::with_busybox();
    let docker = daemon.docker();
    docker
        .args([
            "run",
            "-d",
            "--name",
            "box",
            "-e",
            "FROM=container",
            "-w",
            "/tmp",
            "busybox",
            "sleep",
            "100000",
        ])
        .ok();
    (daemon, docker)
}

fn sh(docker: &Docker, options: &[&str], script: &str) -> Output {
    docker.args([&["exec"], options, &["box", "sh", "-c", script]].concat())
}

/// Repeats until the container has what is asked for.
fn until(mut there: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !there() {
        assert!(Instant::now() < end, "it does not come");
    }
}

#[test]
fn a_command_runs_beside_the_containers_own_and_its_exit_code_is_ours() {
    let (_daemon, docker) = running();
    assert_eq!(docker.run("exec box echo hello").ok(), "hello");
    for code in [0, 1, 7, 255] {
        assert_eq!(sh(&docker, &[], &format!("exit {code}")).code, code);
    }
    assert_eq!(sh(&docker, &[], "kill -9 $$").code, 137);
    let both = sh(&docker, &[], "echo out; echo err >&2");
    assert_eq!((both.stdout.as_str(), both.stderr.as_str()), ("out\n", "err\n"));
}

#[test]
fn options_of_exec_have_their_effect() {
    let (_daemon, docker) = running();
    let says = |options: &[&str], script: &str| sh(&docker, options, script).ok();
    assert_eq!(says(&[], "pwd; echo $FROM; echo $HOME; id -u"), "/tmp\ncontainer\n/root\n0");
    assert_eq!(says(&["-e", "FROM=exec", "-e", "B=x=y"], "echo \"$FROM|$B\""), "exec|x=y");
    assert_eq!(says(&["-w", "/etc"], "pwd"), "/etc");
    assert_eq!(says(&["-u", "nobody"], "id -un; echo $HOME"), "nobody\n/home");
    assert_eq!(says(&["-u", "65534:50"], "id -u; id -g"), "65534\n50");
    assert_eq!(says(&["--privileged"], "echo as before"), "as before");
    assert_eq!(says(&["-t"], "test -t 1 && echo $TERM"), "xterm\r");
    assert_eq!(says(&[], "test -t 0 || test -t 1 || echo none"), "none");
    docker.args(["exec", "-d", "box", "sh", "-c", "echo detached > /tmp/mark"]).ok();
    until(|| docker.run("exec box cat /tmp/mark").stdout == "detached\n");
}

#[test]
fn what_cannot_be_started_is_told_as_dockerd_tells_it() {
    let (_daemon, docker) = running();
    let runtime = "OCI runtime exec failed: exec failed: unable to start container process: ";
    for (options, program, code, words) in [
        (
            vec![],
            "nope",
            127,
            format!("{runtime}exec: \"nope\": executable file not found in $PATH: unknown"),
        ),
        (
            vec![],
            "/no/such",
            127,
            format!("{runtime}exec: \"/no/such\": stat /no/such: no such file or directory: unknown"),
        ),
        (vec![], "/etc/passwd", 126, format!("{runtime}exec: \"/etc/passwd\": permission denied: unknown")),
        (
            vec!["-u", "nope"],
            "id",
            126,
            "unable to find user nope: no matching entries in passwd file".into(),
        ),
        (
            vec!["-u", ":nope"],
            "id",
            126,
            "unable to find group nope: no matching entries in group file".into(),
        ),
        (
            vec!["-w", "/no/dir"],
            "pwd",
            126,
            format!(
                "{runtime}chdir to cwd (\"/no/dir\") set in config.json failed: no such file or directory: unknown"
            ),
        ),
    ] {
        let output = docker.args([vec!["exec"], options, vec!["box", program]].concat());
        assert_eq!((output.code, output.stdout), (code, format!("{words}\r\n")), "{}", output.stderr);
    }
    let words = docker.run("exec -d box nope").fails(1);
    assert!(words.contains("executable file not found in $PATH"), "{words}");
    docker.run("create --name idle busybox true").ok();
    let words = docker.run("exec idle true").fails(1);
    assert!(words.contains("is not running"), "{words}");
    let words = docker.run("exec ghost true").fails(1);
    assert!(words.contains("No such container: ghost"), "{words}");
}

#[test]
fn standard_input_reaches_the_command_and_its_end_too() {
    let (_daemon, docker) = running();
    assert_eq!(docker.with_input(["exec", "-i", "box", "cat"], b"x\n").ok(), "x");
    let large = vec![b'a'; 30_000_000];
    assert_eq!(docker.with_input(["exec", "-i", "box", "wc", "-c"], &large).ok(), "30000000");
    // One that stops reading early does not hold the client up.
    assert_eq!(docker.with_input(["exec", "-i", "box", "head", "-c", "3"], &large).ok(), "aaa");
    // Without -i there is none.
    assert_eq!(docker.with_input(["exec", "box", "wc", "-c"], b"not for you").ok(), "0");
}

#[test]
fn a_hundred_megabytes_arrive_byte_for_byte_both_ways() {
    let (daemon, docker) = running();
    // Numbered lines: a lost, doubled or moved piece changes the sum.
    let script = "seq 1 20000000 | head -c 100000000";
    let expected = Command::new("sh").args(["-c", script]).output().unwrap().stdout;
    let arrived = docker.command(["exec", "box", "sh", "-c", script]).output().unwrap();
    assert!(arrived.status.success());
    assert_eq!(
        (arrived.stdout.len(), images::sha256(&arrived.stdout)),
        (expected.len(), images::sha256(&expected))
    );

    let file = daemon.folder().join("numbers");
    std::fs::write(&file, &expected).unwrap();
    let mut there = docker.command(["exec", "-i", "box", "sha256sum"]);
    let sum: Output = there.stdin(std::fs::File::open(&file).unwrap()).output().unwrap().into();
    assert_eq!(sum.ok(), format!("{}  -", images::sha256(&expected)));
    let back = docker
        .command(["exec", "-i", "box", "cat"])
        .stdin(std::fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    assert_eq!(images::sha256(&back.stdout), images::sha256(&expected));
}

#[test]
fn a_terminal_is_one_and_follows_its_size() {
    let (_daemon, docker) = running();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/terminal.py");
    let mut command = Command::new("python3");
    command.args([script, "exec", "-it", "box", "sh"]);
    let cli = docker.command(["exec"]);
    command.envs(cli.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output: Output = command.stdin(Stdio::null()).output().unwrap().into();
    output.ok();
}

#[test]
fn twenty_at_once_all_come_to_their_own_end() {
    let (_daemon, docker) = running();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..20)
            .map(|number: i32| {
                let docker = &docker;
                scope.spawn(move || {
                    let script = format!("cat; echo {number}; exit {number}");
                    let input = vec![b'x'; 100_000];
                    (number, docker.with_input(["exec", "-i", "box", "sh", "-c", &script], &input))
                })
            })
            .collect();
        for one in all {
            let (number, output) = one.join().unwrap();
            let expected = format!("{}{number}\n", "x".repeat(100_000));
            assert!(output.code == number && output.stdout == expected, "{number}: {output:?}");
        }
    });
}

#[test]
fn an_exec_outlives_its_client_and_a_daemon_that_is_killed() {
    let (mut daemon, docker) = running();
    let api = |daemon: &Daemon, method: &str, path: &str, body: &str| -> serde_json::Value {
        let json = [("Content-Type", "application/json")];
        let (status, answer) = daemon.request(method, path, &json, body.as_bytes());
        assert!(status < 300, "{status} {answer}");
        serde_json::from_str(answer.split_once('{').map_or("null", |_| &answer)).unwrap_or_default()
    };
    // A client that is killed in the middle: the process writes on, more than any buffer holds, and ends.
    let script = "echo up; read x; seq 1 1000000; echo done > /tmp/first";
    let mut client = docker.spawn(["exec", "-i", "box", "sh", "-c", script]);
    let mut line = String::new();
    BufReader::new(client.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    client.kill().unwrap();
    client.wait().unwrap();
    until(|| docker.run("exec box cat /tmp/first").stdout == "done\n");

    // A daemon that is killed: the process is known to the next one, and so is its exit code.
    let script = "echo up; until test -e /tmp/go; do sleep 0.05; done; seq 1 1000000; exit 42";
    let config = serde_json::json!({"AttachStdout": true, "Cmd": ["sh", "-c", script]}).to_string();
    let exec = api(&daemon, "POST", "/containers/box/exec", &config)["Id"].as_str().unwrap().to_owned();
    api(&daemon, "POST", &format!("/exec/{exec}/start"), r#"{"Detach":true}"#);
    daemon.kill();
    daemon.launch();
    let look = || api(&daemon, "GET", &format!("/exec/{exec}/json"), "");
    assert_eq!((&look()["Running"], &look()["ExitCode"]), (&true.into(), &serde_json::Value::Null));
    docker.run("exec box touch /tmp/go").ok();
    until(|| look()["Running"] == false);
    assert_eq!(look()["ExitCode"], 42);
    assert_eq!(docker.args(["inspect", "--format", "{{json .ExecIDs}}", "box"]).ok(), "null");
}

#[test]
fn the_detach_keys_let_the_client_go_and_the_process_go_on() {
    let (_daemon, docker) = running();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/detach.py");
    let mut command = Command::new("python3");
    command.args([script, "exec", "-it", "--detach-keys", "ctrl-a,x", "box", "sh"]);
    let cli = docker.command(["exec"]);
    command.envs(cli.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output: Output = command.stdin(Stdio::null()).output().unwrap().into();
    output.ok();
    until(|| docker.run("exec box cat /tmp/detached").stdout == "still here\n");
}

#[test]
fn a_container_that_ends_takes_its_execs_along() {
    let (_daemon, docker) = running();
    let mut client = docker.spawn(["exec", "-i", "box", "sh", "-c", "echo up; exec cat"]);
    let mut line = [0; 3];
    client.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    client.stdin.as_mut().unwrap().write_all(b"and more").unwrap();
    docker.run("kill box").ok();
    assert_eq!(client.wait().unwrap().code(), Some(137));
    let words = docker.run("exec box true").fails(1);
    assert!(words.contains("is not running"), "{words}");
}

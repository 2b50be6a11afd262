//! Processes beside the container's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod fixture;

use std::time::Duration;

use bytes::Bytes;
use fixture::{Daemon, Engine, PATIENCE, World, agent, shell};
use sockerless_ports::link::{
    Channel, Launch, Link, LinkError, Output, TerminalSize,
    request::{End, Exec, FaultKind, Reply, Request},
};
use tokio::time::timeout;

fn exec(script: &str) -> Exec {
    Exec {
        id: "e".repeat(64),
        argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        env: vec!["PATH=/usr/bin:/bin".to_owned()],
        ..Exec::default()
    }
}

async fn ask(world: &World, exec: Exec) -> (Reply, Box<dyn Channel>) {
    let opening = world.link().open(&world.run, Request::Exec(Box::new(exec)));
    timeout(PATIENCE, opening).await.expect("waited in vain").unwrap()
}

async fn open(world: &World, exec: Exec) -> Box<dyn Channel> {
    let (reply, channel) = ask(world, exec).await;
    assert!(matches!(reply, Reply::Started { .. }), "{reply:?}");
    channel
}

async fn adopt(world: &World) -> Result<Box<dyn Channel>, LinkError> {
    let id = "e".repeat(64);
    timeout(PATIENCE, world.link().adopt(&world.run, &id)).await.expect("waited in vain")
}

/// Both outputs, and the end.
async fn finish(channel: &dyn Channel) -> (Vec<u8>, Vec<u8>, End) {
    let (mut out, mut err) = (vec![], vec![]);
    let reading = async {
        while let Some((output, bytes)) = channel.read().await {
            if output == Output::Stdout { &mut out } else { &mut err }.extend_from_slice(&bytes);
        }
        channel.end().await.unwrap()
    };
    let end = timeout(PATIENCE, reading).await.expect("waited in vain");
    (out, err, end)
}

/// Reads until the output ends with this.
async fn until(channel: &dyn Channel, end: &str) -> String {
    let mut said = String::new();
    while !said.ends_with(end) {
        let (_, bytes) = timeout(PATIENCE, channel.read()).await.expect(&said).expect(&said);
        said.push_str(&String::from_utf8_lossy(&bytes));
    }
    said
}

async fn world() -> World {
    let world = World::new(shell("echo ready; sleep 1000")).await;
    world.engine.until(|kept| kept.stdout == b"ready\n").await;
    world
}

fn seq(n: u32) -> Vec<u8> {
    (1..=n).flat_map(|i| format!("{i}\n").into_bytes()).collect()
}

#[tokio::test]
async fn its_outputs_arrive_apart_and_then_its_exit_code() {
    let world = world().await;
    let channel = open(&world, exec("echo out; echo err >&2; exit 7")).await;
    let (out, err, end) = finish(&*channel).await;
    assert_eq!((out, err, end), (b"out\n".to_vec(), b"err\n".to_vec(), End::Exited { code: 7 }));
}

#[tokio::test]
async fn its_input_arrives_and_the_end_of_it_too() {
    let world = world().await;
    let channel = open(&world, Exec { stdin: true, ..exec("cat; echo end >&2") }).await;
    let much = Bytes::from(vec![b'x'; 3_000_000]);
    let writing = async {
        channel.write(much.clone()).await.unwrap();
        channel.finish();
    };
    let ((), (out, err, end)) = tokio::join!(writing, finish(&*channel));
    assert!(out == much);
    assert_eq!((err, end), (b"end\n".to_vec(), End::Exited { code: 0 }));
}

#[tokio::test]
async fn without_input_it_is_empty_and_who_writes_is_told() {
    let world = world().await;
    let channel = open(&world, exec("cat; readlink /proc/self/fd/0; exec 0<&-; sleep 1000")).await;
    assert_eq!(until(&*channel, "\n").await, "/dev/null\n");
    let mut result = Ok(());
    while result.is_ok() {
        result = channel.write(Bytes::from_static(b"x")).await;
    }
    assert_eq!(result, Err(LinkError::Closed));
}

#[tokio::test]
async fn it_has_its_own_environment_directory_and_user() {
    let world = world().await;
    let script = "pwd; env | sort; id -u; id -G";
    let more = Exec { working_dir: "/tmp".to_owned(), ..exec(script) };
    let user = if nix::unistd::geteuid().is_root() { Some("nobody:4242".to_owned()) } else { None };
    let (out, _, end) = finish(&*open(&world, Exec { user: user.clone(), ..more }).await).await;
    let said = String::from_utf8(out).unwrap();
    assert_eq!(end, End::Exited { code: 0 }, "{said}");
    assert!(said.starts_with("/tmp\nHOME="), "{said}");
    assert!(!said.contains("SOCKERLESS"), "{said}");
    if user.is_some() {
        assert!(said.ends_with("65534\n4242\n"), "{said}");
    }
}

#[tokio::test]
async fn what_cannot_be_started_fails_in_the_runtimes_words() {
    let world = world().await;
    let program = |name: &str| Exec { argv: vec![name.to_owned()], ..exec("") };
    for (request, code, message) in [
        (program("nosuch"), 127, "exec: \"nosuch\": executable file not found in $PATH"),
        (program("/no/such"), 127, "exec: \"/no/such\": stat /no/such: no such file or directory"),
        (program("/etc/passwd"), 126, "exec: \"/etc/passwd\": permission denied"),
        (
            Exec { user: Some("nope".to_owned()), ..exec("true") },
            126,
            "unable to find user nope: no matching entries in passwd file",
        ),
        (
            Exec { working_dir: "/nope".to_owned(), ..exec("true") },
            126,
            "chdir to cwd (\"/nope\") set in config.json failed: no such file or directory",
        ),
    ] {
        let (reply, channel) = ask(&world, request).await;
        assert_eq!(reply, Reply::Unstarted { code, message: message.to_owned() });
        assert_eq!(channel.read().await, None);
        assert_eq!(channel.end().await, Ok(End::Exited { code }));
    }
    assert!(!std::path::Path::new("/nope").exists(), "a missing directory is not made");
}

#[tokio::test]
async fn a_terminal_is_one_and_follows_its_size() {
    let world = world().await;
    let size = |columns, rows| TerminalSize { columns, rows };
    let script =
        "trap 'stty size' WINCH; stty size; tty >/dev/null && echo $TERM; while :; do sleep 0.02; done";
    let first = Some(size(100, 30).into());
    let channel = open(&world, Exec { tty: true, stdin: true, size: first, ..exec(script) }).await;
    assert_eq!(until(&*channel, "xterm\r\n").await, "30 100\r\nxterm\r\n");
    channel.resize(size(120, 40));
    assert!(until(&*channel, "40 120\r\n").await.ends_with("40 120\r\n"));
    channel.write(Bytes::from_static(b"\x03")).await.unwrap();
    assert_eq!(finish(&*channel).await.2, End::Exited { code: 130 });
}

#[tokio::test]
async fn many_run_at_once_and_each_gets_its_own_end() {
    let world = world().await;
    let one = async |number: i32| {
        let script = format!("read line; echo $line; seq 1 2000; exit {number}");
        let id = format!("{number:064}");
        let channel = open(&world, Exec { id, stdin: true, ..exec(&script) }).await;
        channel.write(format!("hello {number}\n").into()).await.unwrap();
        let (out, _, end) = finish(&*channel).await;
        assert!(out == [format!("hello {number}\n").into_bytes(), seq(2000)].concat());
        assert_eq!(end, End::Exited { code: number });
    };
    futures_util::future::join_all((0..50).map(one)).await;
}

#[tokio::test]
async fn a_slow_reader_holds_up_nobody_else() {
    let world = world().await;
    let slow = open(&world, exec("seq 1 10000000")).await;
    until(&*slow, "\n").await;
    // It is full now, or soon, and stays so.
    let much = open(&world, exec("seq 1 500000; seq 1 500000 >&2")).await;
    let (out, err, _) = finish(&*much).await;
    assert!(out == seq(500_000) && err == seq(500_000));
}

#[tokio::test]
async fn before_the_launch_and_after_the_end_it_is_a_conflict() {
    let mut world = World::new(Launch { stdin: true, ..shell("read line") }).await;
    world.engine.until(|kept| kept.started.len() == 1).await;
    world.link().close_stdin(&world.run).await.unwrap();
    world.engine.exit().await;
    let (reply, _) = ask(&world, exec("true")).await;
    assert!(matches!(&reply, Reply::Failed(fault) if fault.kind == FaultKind::Conflict), "{reply:?}");
    // Files can be had after the end, …
    let (reply, _) = world.link().open(&world.run, Request::Stat { path: "/etc".to_owned() }).await.unwrap();
    assert!(matches!(&reply, Reply::Stat(stat) if stat.name == "etc"), "{reply:?}");
    assert_eq!(world.code().await, Some(1));

    let daemon = Daemon::start(0).await;
    let engine = Engine::new(shell("true"));
    let run = daemon.admit(&engine);
    engine.launching.send_replace(false);
    let _agent = fixture::Agent(agent(daemon.port).spawn().unwrap());
    let opening = daemon.link.open(&run, Request::Exec(Box::new(exec("true"))));
    let (reply, _) = timeout(PATIENCE, opening).await.expect("waited in vain").unwrap();
    assert!(matches!(&reply, Reply::Failed(fault) if fault.kind == FaultKind::Conflict), "{reply:?}");
    // … and before the launch.
    let opening = daemon.link.open(&run, Request::Stat { path: "/etc".to_owned() });
    let (reply, _) = timeout(PATIENCE, opening).await.expect("waited in vain").unwrap();
    assert!(matches!(&reply, Reply::Stat(stat) if stat.name == "etc"), "{reply:?}");
    engine.launching.send_replace(true);
    assert_eq!(engine.exit().await.code, 0);
}

#[tokio::test]
async fn it_is_killed_when_the_containers_process_ends() {
    let mut world = world().await;
    let channel = open(&world, exec("trap '' TERM; echo ready; sleep 1000")).await;
    until(&*channel, "ready\n").await;
    world.link().signal(&world.run, 15).await.unwrap();
    assert_eq!(finish(&*channel).await.2, End::Exited { code: 137 });
    assert_eq!(world.code().await, Some(143));
}

#[tokio::test]
async fn what_it_leaves_behind_does_not_hold_up_its_end() {
    let world = world().await;
    let channel = open(&world, exec("sleep 1000 & echo done")).await;
    let (out, _, end) = finish(&*channel).await;
    assert_eq!((out, end), (b"done\n".to_vec(), End::Exited { code: 0 }));
}

#[tokio::test]
async fn it_outlives_its_client_and_its_end_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let [go, done] = ["go", "done"].map(|name| folder.path().join(name));
    let script = format!(
        "cat; seq 1 3000000; touch {}; while [ ! -e {} ]; do sleep 0.02; done; exit 6",
        done.display(),
        go.display()
    );
    let world = world().await;
    let channel = open(&world, Exec { stdin: true, ..exec(&script) }).await;
    channel.write(Bytes::from_static(b"hello")).await.unwrap();
    until(&*channel, "hello").await;
    // With its client goes its input; its output is thrown away, so that it does not wait for anybody.
    drop(channel);
    let looking = async {
        while !done.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, looking).await.expect("it is held up");
    std::fs::write(&go, "").unwrap();
    let adopted = adopt(&world).await.unwrap();
    assert_eq!(finish(&*adopted).await, (vec![], vec![], End::Exited { code: 6 }));
    drop(adopted);
    assert_eq!(adopt(&world).await.err(), Some(LinkError::Closed), "it is forgotten once its end is known");
}

#[tokio::test]
async fn a_restarted_daemon_finds_it_and_gets_what_was_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let script = format!(
        "echo first; while [ ! -e {} ]; do sleep 0.02; done; seq 1 1500000; cat; exit 5",
        go.display()
    );
    let mut world = world().await;
    let channel = open(&world, Exec { stdin: true, ..exec(&script) }).await;
    until(&*channel, "first\n").await;
    let port = world.daemon.stop().await;
    // More than is kept for it: it waits for the next daemon.
    std::fs::write(&go, "").unwrap();
    drop(channel);
    world.daemon = Daemon::start(port).await;
    world.daemon.admit(&world.engine);
    let channel = adopt(&world).await.unwrap();
    channel.write(Bytes::from_static(b"more")).await.unwrap();
    channel.finish();
    let (out, _, end) = finish(&*channel).await;
    // What was read was acknowledged only by the next read.
    let expected = [&b"first\n"[..], &seq(1_500_000), b"more"].concat();
    assert!(out == expected, "{} bytes", out.len());
    assert_eq!(end, End::Exited { code: 5 });
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made");
    let mut world = world().await;
    let port = world.daemon.stop().await;
    world.daemon = Daemon::start(port).await;
    // Not admitted yet: the agent cannot come.
    assert_eq!(world.link().open(&world.run, Request::Processes).await.err(), Some(LinkError::Unknown));
    world.daemon.admit(&world.engine);
    let never = exec(&format!("touch {}", made.display()));
    let opening = world.link().open(&world.run, Request::Exec(Box::new(never)));
    assert!(futures_util::FutureExt::now_or_never(opening).is_none());
    let (reply, _) = ask(&world, exec("true")).await;
    assert!(matches!(reply, Reply::Started { .. }), "{reply:?}");
    assert!(!made.exists());
}

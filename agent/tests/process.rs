//! What the agent runs, and what it says about it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod fixture;

use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use fixture::{World, program, shell};
use sockerless_ports::link::{Launch, Link, LinkError, TerminalSize};

async fn run(launch: Launch) -> (fixture::Kept, Option<i32>) {
    let mut world = World::new(launch).await;
    let code = world.code().await;
    (world.engine.kept.borrow().clone(), code)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn output_and_errors_arrive_apart_before_the_end() {
    let (kept, code) = run(shell("echo out; echo err >&2; exit 7")).await;
    assert_eq!((text(&kept.stdout), text(&kept.stderr)), ("out\n".to_owned(), "err\n".to_owned()));
    assert_eq!((kept.started.len(), kept.exited.len(), kept.launches), (1, 1, 1));
    let exit = &kept.exited[0];
    assert_eq!((exit.code, exit.signal, exit.out_of_memory), (7, None, false));
    assert!(exit.time > 1_700_000_000_000);
    assert_eq!(code, Some(7), "the agent ends as the process did");
}

#[tokio::test]
async fn the_process_sees_its_own_environment_only() {
    let launch =
        Launch { env: vec!["B=2".into(), "A=1".into(), "PATH=/usr/bin:/bin".into()], ..program(&["env"]) };
    let (kept, _) = run(launch).await;
    let home = std::fs::read_to_string("/etc/passwd").unwrap();
    let home = home
        .lines()
        .find_map(|line| line.strip_prefix("root:x:0:0:"))
        .unwrap()
        .split(':')
        .nth(1)
        .unwrap()
        .to_owned();
    assert_eq!(text(&kept.stdout), format!("B=2\nA=1\nPATH=/usr/bin:/bin\nHOME={home}\n"));
}

#[tokio::test]
async fn standard_input_arrives_and_its_end_too() {
    let mut world = World::new(Launch { stdin: true, ..shell("cat; echo end") }).await;
    let big = Bytes::from(vec![b'x'; 3_000_000]);
    world.link().write_stdin(&world.run, Bytes::from_static(b"first\n")).await.unwrap();
    world.engine.until(|kept| kept.stdout == b"first\n").await;
    world.link().write_stdin(&world.run, big.clone()).await.unwrap();
    world.link().close_stdin(&world.run).await.unwrap();
    assert_eq!(world.link().write_stdin(&world.run, big.clone()).await, Err(LinkError::Closed));
    assert_eq!(world.engine.exit().await.code, 0);
    let kept = world.engine.kept.borrow().clone();
    assert!(kept.stdout == [&b"first\n"[..], &big, b"end\n"].concat());
    assert_eq!(world.code().await, Some(0));
}

#[tokio::test]
async fn without_standard_input_it_is_empty() {
    let (kept, _) = run(shell("cat; echo end; readlink /proc/self/fd/0")).await;
    assert_eq!(text(&kept.stdout), "end\n/dev/null\n");
}

#[tokio::test]
async fn who_writes_to_a_process_that_does_not_read_is_held_up_until_the_end() {
    let world = World::new(Launch { stdin: true, ..shell("echo ready; read line; exit 3") }).await;
    world.engine.until(|kept| kept.stdout == b"ready\n").await;
    let much = Bytes::from(vec![b'x'; 5_000_000]);
    let (result, exit) = tokio::join!(
        async {
            let first = world.link().write_stdin(&world.run, Bytes::from(vec![b'x'; 200_000])).await;
            world.link().write_stdin(&world.run, Bytes::from_static(b"\n")).await.unwrap();
            first.and(world.link().write_stdin(&world.run, much).await)
        },
        world.engine.exit()
    );
    assert_eq!(result, Err(LinkError::Closed));
    assert_eq!(exit.code, 3);
}

#[tokio::test]
async fn who_closes_its_standard_input_makes_writers_stop() {
    let world = World::new(Launch { stdin: true, ..shell("exec 0<&-; echo closed; sleep 1000") }).await;
    world.engine.until(|kept| kept.stdout == b"closed\n").await;
    let mut result = Ok(());
    while result.is_ok() {
        result = world.link().write_stdin(&world.run, Bytes::from_static(b"x")).await;
    }
    assert_eq!(result, Err(LinkError::Closed));
    world.link().signal(&world.run, 9).await.unwrap();
    assert_eq!(world.engine.exit().await.code, 137);
}

#[tokio::test]
async fn signals_reach_the_process_and_are_told_when_they_end_it() {
    let mut world = World::new(shell("trap 'echo hup' HUP; echo ready; while :; do sleep 0.02; done")).await;
    world.engine.until(|kept| kept.stdout == b"ready\n").await;
    world.link().signal(&world.run, 1).await.unwrap();
    world.engine.until(|kept| kept.stdout == b"ready\nhup\n").await;
    world.link().signal(&world.run, 15).await.unwrap();
    let exit = world.engine.exit().await;
    assert_eq!((exit.code, exit.signal), (143, Some(15)));
    assert_eq!(world.link().signal(&world.run, 15).await, Err(LinkError::Closed));
    assert_eq!(world.code().await, Some(143));
}

#[tokio::test]
async fn a_signal_from_the_cloud_is_passed_on() {
    let mut world =
        World::new(shell("trap 'echo term; exit 4' TERM; echo ready; while :; do sleep 0.02; done")).await;
    world.engine.until(|kept| kept.stdout == b"ready\n").await;
    let agent = nix::unistd::Pid::from_raw(i32::try_from(world.agent.id().unwrap()).unwrap());
    for ignored in [nix::sys::signal::SIGTSTP, nix::sys::signal::SIGCONT, nix::sys::signal::SIGTERM] {
        nix::sys::signal::kill(agent, ignored).unwrap();
    }
    assert_eq!(world.engine.exit().await.code, 4);
    assert_eq!(text(&world.engine.kept.borrow().stdout), "ready\nterm\n");
    assert_eq!(world.code().await, Some(4));
}

#[tokio::test]
async fn a_terminal_has_the_size_that_was_asked_for_and_tells_the_process_when_it_changes() {
    let size = |columns, rows| TerminalSize { columns, rows };
    let script =
        "trap 'stty size' WINCH; stty size; tty >/dev/null && echo $TERM; while :; do sleep 0.02; done";
    let mut world =
        World::new(Launch { tty: true, stdin: true, size: Some(size(100, 30)), ..shell(script) }).await;
    world.engine.until(|kept| text(&kept.stdout) == "30 100\r\nxterm\r\n").await;
    world.link().resize(&world.run, size(120, 40)).await.unwrap();
    world.engine.until(|kept| text(&kept.stdout).ends_with("40 120\r\n")).await;
    // The terminal itself turns this into a signal, which only a foreground group in its session gets.
    world.link().write_stdin(&world.run, Bytes::from_static(b"\x03")).await.unwrap();
    let exit = world.engine.exit().await;
    assert_eq!(exit.code, 130);
    assert!(world.engine.kept.borrow().stderr.is_empty());
    assert_eq!(world.code().await, Some(130));
}

#[tokio::test]
async fn what_cannot_be_started_fails_in_the_runtimes_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    let place = folder.path().to_str().unwrap();
    let user = |user: &str| Launch { user: Some(user.to_owned()), ..shell("true") };
    for (launch, code, message) in [
        (program(&["nosuch"]), 127, "exec: \"nosuch\": executable file not found in $PATH".to_owned()),
        (
            program(&["/no/such"]),
            127,
            "exec: \"/no/such\": stat /no/such: no such file or directory".to_owned(),
        ),
        (program(&[file]), 126, format!("exec: \"{file}\": permission denied")),
        (program(&[place]), 126, format!("exec: \"{place}\": is a directory")),
        (user("x"), 128, "unable to find user x: no matching entries in passwd file".to_owned()),
        (
            Launch { working_dir: file.to_owned(), ..shell("true") },
            128,
            format!("Cannot mkdir: {file} is not a directory"),
        ),
    ] {
        let (kept, agents) = run(launch).await;
        assert_eq!(kept.failed.len(), 1, "{message}");
        assert_eq!((kept.failed[0].code, kept.failed[0].message.as_str()), (code, message.as_str()));
        assert!(kept.started.is_empty() && kept.exited.is_empty());
        assert_eq!(agents, Some(code));
    }
}

#[tokio::test]
async fn what_the_kernel_will_not_execute_has_started_and_says_so_itself() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "no program").unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    let file = file.to_str().unwrap();
    let (kept, _) = run(program(&[file])).await;
    assert_eq!(text(&kept.stderr), format!("exec {file}: exec format error\n"));
    assert_eq!((kept.started.len(), kept.exited[0].code), (1, 255));
}

#[tokio::test]
async fn a_missing_working_directory_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("a/b");
    let place = place.to_str().unwrap();
    let (kept, _) = run(Launch { working_dir: place.to_owned(), ..program(&["pwd"]) }).await;
    assert_eq!(text(&kept.stdout), format!("{place}\n"));
}

#[tokio::test]
async fn a_user_and_groups_are_taken_on() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let launch = Launch {
        user: Some("nobody".to_owned()),
        groups: vec!["4242".to_owned()],
        ..shell("id -u; id -G; echo $HOME; echo named > /dev/stderr")
    };
    let (kept, _) = run(launch).await;
    assert_eq!(text(&kept.stdout), "65534\n65534 4242\n/nonexistent\n");
    assert_eq!(text(&kept.stderr), "named\n");
}

#[tokio::test]
async fn nothing_is_blocked_or_ignored_and_no_descriptor_leaks() {
    let (kept, _) = run(shell("grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd")).await;
    let said = text(&kept.stdout);
    let (signals, descriptors) = said.split_at(said.find("0\n1\n").unwrap());
    // 32 and above are not for programs.
    let mask = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
    assert!(signals.lines().all(|line| mask(line) & 0x7fff_ffff == 0), "{said}");
    // 3 is ls's own.
    assert_eq!(descriptors, "0\n1\n2\n3\n");
    let mut world = World::new(Launch { stdin: true, ..shell("ls /proc/self/fd") }).await;
    world.code().await;
    assert_eq!(text(&world.engine.kept.borrow().stdout), "0\n1\n2\n3\n");
}

#[tokio::test]
async fn what_the_process_leaves_behind_ends_with_it() {
    let (kept, code) =
        run(shell("sleep 1000 & (setsid sh -c 'sleep 1000; echo never' &) ; echo gone; exit 5")).await;
    assert_eq!((text(&kept.stdout), code), ("gone\n".to_owned(), Some(5)));
}

#[tokio::test]
async fn the_ticket_cannot_be_read_from_outside() {
    let world = World::new(shell("echo ready; sleep 1000")).await;
    world.engine.until(|kept| kept.stdout == b"ready\n").await;
    let owner = std::fs::metadata(format!("/proc/{}/environ", world.agent.id().unwrap())).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&owner), 0);
    // Its children end with the agent's end of the line.
    world.link().dismiss(&world.run);
    let mut world = world;
    assert_eq!(world.gone().await, Some(143));
}

#[tokio::test]
async fn as_the_first_process_it_collects_orphans_and_furnishes_the_container() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path().to_str().unwrap().to_owned();
    let script = format!(
        "hostname; grep {scratch} /proc/mounts | cut -d' ' -f3,4; (sleep 0.05 &); sleep 0.2; grep -l 'State:.Z' /proc/[0-9]*/status; sleep 1000 & exit 6"
    );
    let daemon = fixture::Daemon::start(0).await;
    let launch =
        Launch { hostname: Some("boxed".into()), tmpfs: vec![(scratch, "size=1m".into())], ..shell(&script) };
    let engine = fixture::Engine::new(launch);
    let run = daemon.admit(&engine);
    let mut agent = fixture::isolated(fixture::agent(daemon.port)).spawn().unwrap();
    assert_eq!(engine.exit().await.code, 6);
    daemon.link.dismiss(&run);
    let said = text(&engine.kept.borrow().stdout);
    let (name, mount) = said.split_once('\n').unwrap();
    assert_eq!(name, "boxed");
    assert!(
        mount.starts_with("tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k")
            && mount.trim_end().lines().count() == 1,
        "{said}"
    );
    assert_eq!(tokio::time::timeout(fixture::PATIENCE, agent.wait()).await.unwrap().unwrap().code(), Some(6));
}

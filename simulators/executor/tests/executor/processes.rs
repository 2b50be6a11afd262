use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use sockerless_executor::{FailureReason, TaskEvent, TaskSpec};

use crate::support::{Entry, Image, outcome, with};

#[tokio::test(flavor = "multi_thread")]
async fn output_and_exit_code_come_back() {
    with(|it| async move {
        let done = it.shell("echo hello; echo oops >&2; exit 7").await;
        assert_eq!(
            (done.text(), done.err.as_slice(), done.exit_code),
            ("hello\n", b"oops\n".as_slice(), Some(7))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_exit_code_and_signal_is_exact() {
    with(|it| async move {
        for code in [0, 1, 126, 127, 128, 137, 255] {
            let done = it.shell(&format!("exit {code}")).await;
            assert_eq!((done.exit_code, done.signal), (Some(code), None));
        }
        // Process 1 does not die of its own signals, so a shell sends them to a child that becomes it.
        let (task, _) = it.started(it.shell_spec("echo up; exec sleep 1000")).await;
        task.signal(9).unwrap();
        let done = outcome(task).await;
        assert_eq!((done.exit_code, done.signal), (None, Some(9)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_reaches_the_command_that_handles_it() {
    with(|it| async move {
        let (task, _) = it
            .started(it.shell_spec("trap 'echo got; exit 3' HUP; echo up; while :; do sleep 0.01; done"))
            .await;
        task.signal(1).unwrap();
        let done = outcome(task).await;
        assert_eq!((done.text(), done.exit_code), ("got\n", Some(3)));
    })
    .await;
}

#[test]
fn a_command_can_trap_what_the_executor_was_told_to_ignore() {
    let test = "processes::a_signal_reaches_the_command_that_handles_it";
    // The rest of this program, with SIGHUP ignored: as somebody starts a daemon who wants to log out.
    let again = std::env::current_exe().unwrap();
    let output =
        Command::new("nohup").arg(again).args(["--exact", test]).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_asks_first_and_kills_after_the_grace() {
    with(|it| async move {
        let (task, _) =
            it.started(it.shell_spec("trap 'exit 5' TERM; echo up; while :; do sleep 0.01; done")).await;
        task.stop(Duration::from_secs(60));
        assert_eq!(outcome(task).await.exit_code, Some(5));
        let (task, _) = it.started(it.shell_spec("trap '' TERM; echo up; while :; do sleep 1; done")).await;
        task.stop(Duration::from_millis(50));
        assert_eq!(outcome(task).await.signal, Some(9));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_stopped_before_its_start_is_cancelled() {
    with(|it| async move {
        let task = it.executor.run(it.shell_spec("sleep 1000")).unwrap();
        task.stop(Duration::ZERO);
        let done = outcome(task).await;
        assert!(done.signal == Some(9) || done.reason() == FailureReason::Cancelled, "{done:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_is_process_1_and_sees_no_others() {
    with(|it| async move {
        let done = it.shell("echo $$; ls -d /proc/[0-9]*; true").await;
        // Whether `ls` is a process of its own is busybox's business.
        assert!(["1\n/proc/1\n", "1\n/proc/1\n/proc/2\n"].contains(&done.text()), "{}", done.text());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_decides_command_environment_and_directory_unless_the_task_does() {
    with(|it| async move {
        let image = Image::busybox()
            .config("Entrypoint", serde_json::json!(["echo", "entry"]))
            .config("Cmd", serde_json::json!(["cmd"]))
            .config("WorkingDir", "/srv".into());
        it.registry.push("decided", &image);
        assert_eq!(it.run(it.spec("decided")).await.text(), "entry cmd\n");
        let spec = TaskSpec { args: vec!["mine".into()], ..it.spec("decided") };
        assert_eq!(it.run(spec).await.text(), "entry mine\n");
        let script = "pwd; echo $FROM_IMAGE $MINE $HOME; hostname";
        let spec = TaskSpec {
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            env: vec![("FROM_IMAGE".into(), "2".into()), ("MINE".into(), "a b".into())],
            hostname: Some("box".into()),
            ..it.spec("decided")
        };
        assert_eq!(it.run(spec.clone()).await.text(), "/srv\n2 a b /root\nbox\n");
        let spec = TaskSpec { working_dir: Some("/tmp".into()), id: "elsewhere".into(), ..spec };
        assert!(it.run(spec).await.text().starts_with("/tmp\n"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_started_says_why() {
    with(|it| async move {
        let image = Image::busybox().layer(&[
            Entry::file("bin/plain", b"no program"),
            Entry::file("bin/garbage", b"\x01\x02\x03").mode(0o755),
            Entry::file("bin/lost", b"#!/bin/nothing-here\n").mode(0o755),
            Entry::file("bin/arm", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0\x01\0\0\0")
                .mode(0o755),
        ]);
        it.registry.push("broken", &image);
        for (command, reason) in [
            ("nothing-here", FailureReason::CommandNotFound),
            ("/bin/nothing-here", FailureReason::CommandNotFound),
            ("plain", FailureReason::CommandNotFound),
            ("/bin/plain", FailureReason::CommandNotExecutable),
            ("/srv", FailureReason::CommandNotExecutable),
            ("garbage", FailureReason::ExecFormat),
            ("arm", FailureReason::ExecFormat),
            ("lost", FailureReason::CommandNotFound),
        ] {
            let done = it.run(TaskSpec { command: vec![command.into()], ..it.spec("broken") }).await;
            assert_eq!(done.reason(), reason, "{command}: {done:?}");
        }
        let done = it.run(TaskSpec { working_dir: Some("/missing".into()), ..it.spec("busybox") }).await;
        assert_eq!(done.reason(), FailureReason::WorkingDirectory);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_as_the_images_user() {
    with(|it| async move {
        for (user, expected) in [
            ("", "0 0 0\n"),
            ("app", "1000 1001 1001 50\n"),
            ("app:staff", "1000 50 50\n"),
            ("1234:1235", "1234 1235 1235\n"),
        ] {
            it.registry.push("user", &Image::busybox().config("User", user.into()));
            let script = ["sh", "-c", "echo $(id -u) $(id -g) $(id -G)"].map(str::to_owned).to_vec();
            let done = it.run(TaskSpec { command: script, ..it.spec("user") }).await;
            assert_eq!(done.text(), expected);
        }
        it.registry.push("user", &Image::busybox().config("User", "ghost".into()));
        assert_eq!(it.run(it.spec("user")).await.reason(), FailureReason::UserNotFound);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn root_has_exactly_the_capabilities_that_it_was_given() {
    with(|it| async move {
        let script = "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status";
        let spec =
            TaskSpec { capabilities: vec!["CHOWN".into(), "CAP_KILL".into()], ..it.shell_spec(script) };
        let sets: Vec<u64> = it
            .run(spec)
            .await
            .text()
            .lines()
            .map(|line| u64::from_str_radix(line.split('\t').nth(1).unwrap(), 16).unwrap())
            .collect();
        assert_eq!(sets, [0, 0b10_0001, 0b10_0001, 0b10_0001, 0]);
        // Without any, root may not even read what belongs to others.
        let done = it.shell("touch /tmp/x; chmod 0 /tmp/x; cat /tmp/x").await;
        assert_eq!(done.exit_code, Some(1), "{done:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_pipe_ends_a_writer_as_usual() {
    with(|it| async move {
        let done = it.shell("(while :; do echo x; done; echo survived >&2) | head -n 1; true").await;
        assert_eq!((done.text(), done.err.len(), done.exit_code), ("x\n", 0, Some(0)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn much_output_arrives_whole_and_in_order_before_the_end() {
    with(|it| async move {
        let begin = Instant::now();
        let done = it.shell("dd if=/dev/zero bs=65536 count=1600 2>/dev/null; echo end").await;
        println!("100 MiB of output in {:?}", begin.elapsed());
        assert_eq!(done.out.len(), 1600 * 65536 + 4);
        assert!(done.out.ends_with(b"\0end\n"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn output_without_a_reader_does_not_block_the_container() {
    with(|it| async move {
        let mount = it.folder.path().join("shared");
        std::fs::create_dir(&mount).unwrap();
        let mut spec = it.shell_spec("dd if=/dev/zero bs=65536 count=160 2>/dev/null; touch /shared/done");
        spec.mounts = vec![sockerless_executor::TaskMount {
            path: "/shared".into(),
            source: sockerless_executor::MountSource::Directory(mount.clone()),
            read_only: false,
        }];
        let id = spec.id.clone();
        drop(it.executor.run(spec).unwrap());
        // The id is free again once the task has ended.
        let probe = || TaskSpec { id: id.clone(), ..it.spec("busybox") };
        while it.executor.run(probe()).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(mount.join("done").exists());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_tasks_at_once_do_not_disturb_each_other() {
    with(|it| async move {
        let tasks: Vec<_> = (0..50)
            .map(|number| it.executor.run(it.shell_spec(&format!("echo {number}; exit {number}"))).unwrap())
            .collect();
        for (number, task) in tasks.into_iter().enumerate() {
            let done = outcome(task).await;
            assert_eq!((done.text(), done.exit_code), (format!("{number}\n").as_str(), Some(number as i32)));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_taken_while_its_task_runs() {
    with(|it| async move {
        let (task, _) = it.started(it.shell_spec("echo up; sleep 1000")).await;
        let spec = TaskSpec { id: "task-0".into(), ..it.spec("busybox") };
        assert!(matches!(it.executor.run(spec), Err(sockerless_executor::ExecutorError::Duplicate(_))));
        task.stop(Duration::ZERO);
        assert_eq!(outcome(task).await.signal, Some(9));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_their_order() {
    with(|it| async move {
        let mut task = it.executor.run(it.shell_spec("echo x")).unwrap();
        assert_eq!(task.events.recv().await, Some(TaskEvent::Pulling));
        assert!(matches!(task.events.recv().await, Some(TaskEvent::Started { pid, .. }) if pid > 1));
        assert!(matches!(task.events.recv().await, Some(TaskEvent::Output { stderr: false, .. })));
        assert!(matches!(task.events.recv().await, Some(TaskEvent::Exited { exit_code: Some(0), .. })));
        assert_eq!(task.events.recv().await, None);
    })
    .await;
}

/// Reports, asserts nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_from_start_to_exit_is_reported() {
    with(|it| async move {
        it.shell("true").await;
        let (mut started, mut ended) = (Vec::new(), Vec::new());
        for _ in 0..40 {
            let begin = Instant::now();
            let mut task =
                it.executor.run(TaskSpec { command: vec!["true".into()], ..it.spec("busybox") }).unwrap();
            while let Some(event) = task.events.recv().await {
                match event {
                    TaskEvent::Started { .. } => started.push(begin.elapsed()),
                    TaskEvent::Exited { exit_code, .. } => {
                        assert_eq!(exit_code, Some(0));
                        ended.push(begin.elapsed());
                    }
                    _ => {}
                }
            }
            // The pool has filled up by then, as between the commands of a person.
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        for (what, mut times) in [("started", started), ("exited", ended)] {
            times.sort();
            println!("`true` {what} after: min {:?}, p50 {:?}, p90 {:?}", times[0], times[20], times[36]);
        }
    })
    .await;
}

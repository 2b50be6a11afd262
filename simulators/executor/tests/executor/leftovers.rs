//! What a killed executor leaves, and what a closed one does not.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use sockerless_executor::Executor;

use crate::support::{Image, Registry, config, outcome, with};

const STATE: &str = "SOCKERLESS_TEST_STATE";

/// Not a test of its own: the process that `a_killed_executor_…` starts and kills.
#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let Some(state) = std::env::var_os(STATE) else { return };
    let registry = Registry::start().await;
    registry.push("busybox", &Image::busybox());
    let executor = Executor::open(config(state.into(), &registry)).await.unwrap();
    let mut spec = sockerless_executor::TaskSpec { id: "survivor".into(), ..Default::default() };
    spec.image = format!("{}/busybox", crate::support::HOST);
    spec.command = ["sh", "-c", "sleep 1000 & touch /srv/x; sleep 1000"].map(str::to_owned).to_vec();
    let mut task = executor.run(spec).unwrap();
    while let Some(event) = task.events.recv().await {
        if let sockerless_executor::TaskEvent::Started { pid, .. } = event {
            println!("\nstarted {pid}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_executor_takes_its_tasks_along_and_its_state_opens_again() {
    with(|it| async move {
        let state = it.folder.path().join("killed");
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "leftovers::victim", "--nocapture"])
            .env(STATE, &state)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pid: u32 = BufReader::new(victim.stdout.take().unwrap())
            .lines()
            .find_map(|line| line.unwrap().strip_prefix("started ").map(|pid| pid.parse().unwrap()))
            .unwrap();
        victim.kill().unwrap();
        victim.wait().unwrap();

        let again = Executor::open(config(state.clone(), &it.registry)).await.unwrap();
        assert!(!Path::new(&format!("/proc/{pid}/root/srv")).exists(), "the task is still there");
        assert_eq!(std::fs::read_dir(state.join("tasks")).unwrap().count(), 0);
        let mut spec = it.shell_spec("echo again");
        spec.id = "survivor".into();
        let done = outcome(again.run(spec).unwrap()).await;
        again.purge().await.unwrap();
        assert_eq!((done.text(), done.pulled), ("again\n", false));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_executor_leaves_no_process_link_mount_or_rule() {
    with(|it| async move {
        let state = it.folder.path().join("closed");
        let executor = Executor::open(config(state.clone(), &it.registry)).await.unwrap();
        let gateway = executor.host_address().to_string();
        let task = executor.run(it.shell_spec("sleep 1000")).unwrap();
        executor.purge().await.unwrap();
        let done = outcome(task).await;
        assert!(done.signal == Some(9) || done.failed.is_some(), "{done:?}");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(state.to_str().unwrap()));
        assert!(!state.exists());
        if crate::support::is_root() {
            let routes = Command::new("ip").args(["-4", "address"]).output().unwrap();
            assert!(!String::from_utf8_lossy(&routes.stdout).contains(&gateway));
        }
    })
    .await;
}

//! Tasks that share a network.

use std::time::Duration;

use sockerless_executor::{MountSource, Pod, Probe, Task, TaskMount, TaskSpec};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Fixture, outcome, with};

/// Long enough for a probe on a busy machine; none takes it unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

fn in_pod(pod: &Pod, spec: TaskSpec) -> TaskSpec {
    TaskSpec { pod: Some(pod.clone()), ..spec }
}

async fn end(task: Task) {
    task.stop(Duration::ZERO);
    outcome(task).await;
}

/// A web server of busybox that says that it listens.
async fn server(it: &Fixture, pod: &Pod) -> Task {
    let script =
        "mkdir /w && echo hello > /w/index.html && httpd -p 8080 -h /w && echo up && exec sleep 1000";
    it.started(in_pod(pod, it.shell_spec(script))).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tasks_of_a_pod_meet_on_loopback_and_have_their_own_files_and_processes() {
    with(|it| async move {
        let pod = it.executor.pod().await.unwrap();
        let server = server(&it, &pod).await;
        let script = "wget -qO- http://127.0.0.1:8080/; ls /w 2>/dev/null; echo $$; ps | grep -c '[h]ttpd'";
        let done = it.run(in_pod(&pod, it.shell_spec(script))).await;
        assert_eq!(done.text(), "hello\n1\n0\n");
        // Nobody else gets there.
        let dial = format!("wget -T 1 -qO- http://{}:8080/ || echo refused", pod.address());
        assert_eq!(it.shell(&dial).await.text(), "refused\n");
        end(server).await;
        pod.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_a_pod_is_dialled_from_this_machine_through_its_door() {
    with(|it| async move {
        let pod = it.executor.pod().await.unwrap();
        let server = server(&it, &pod).await;
        let ask = async |port| {
            let mut child = pod.dial(port).unwrap();
            let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            // One that is not there does not read it.
            let _ = input.write_all(b"GET / HTTP/1.0\r\n\r\n").await;
            let mut answer = String::new();
            output.read_to_string(&mut answer).await.unwrap();
            (answer, child.wait().await.unwrap().success())
        };
        let (answer, well) = ask(8080).await;
        assert!(well && answer.ends_with("hello\n"), "{answer}");
        assert_eq!(ask(8081).await, (String::new(), false));
        end(server).await;
        pod.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_of_a_pod_outlives_the_task_that_came_first() {
    with(|it| async move {
        let listener = tokio::net::TcpListener::bind((it.executor.bind_address(), 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let pod = it.executor.pod().await.unwrap();
        let accept = tokio::spawn(async move { listener.accept().await.map(drop) });
        assert_eq!(it.run(in_pod(&pod, it.shell_spec("true"))).await.exit_code, Some(0));
        let dial = format!("nc {} {port} < /dev/null && echo reached", it.executor.host_address());
        assert_eq!(it.run(in_pod(&pod, it.shell_spec(&dial))).await.text(), "reached\n");
        accept.await.unwrap().unwrap();
        pod.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_folder_is_the_same_for_all_and_gone_with_the_pod() {
    with(|it| async move {
        let pod = it.executor.pod().await.unwrap();
        let mount = |path: &str| TaskMount {
            path: path.into(),
            source: MountSource::Shared("volume".into()),
            read_only: false,
        };
        let spec = |script: &str, path: &str| TaskSpec {
            mounts: vec![mount(path)],
            capabilities: vec!["CHOWN".into()],
            ..in_pod(&pod, it.shell_spec(script))
        };
        // Somebody else's file, which an ordinary user could not delete.
        let write = spec("ls -A /a; echo given > /a/file; chown 99:99 /a/file", "/a");
        assert_eq!(it.run(write).await.text(), "");
        assert_eq!(it.run(spec("cat /b/file; stat -c %u /b/file", "/b")).await.text(), "given\n99\n");
        pod.close().await;
        // Tasks' own folders may still be on their way out.
        let left = std::fs::read_dir(it.folder.path().join("state/tasks")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("pod.")), "{left:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_tells_who_listens_and_who_does_not() {
    with(|it| async move {
        let pod = it.executor.pod().await.unwrap();
        let server = server(&it, &pod).await;
        let http = |path: &str| Probe::Http {
            port: 8080,
            path: path.into(),
            headers: vec![("A".into(), "b".into())],
        };
        for good in [Probe::Tcp { port: 8080 }, http("/"), http("/index.html?a=b")] {
            assert_eq!(pod.probe(&good, PATIENCE).await, Ok(()), "{good:?}");
        }
        let address = pod.address();
        for (bad, words) in [
            (Probe::Tcp { port: 8081 }, format!("{address}:8081: Connection refused")),
            (http("/missing"), format!("{address}:8080: HTTP status 404")),
        ] {
            let error = pod.probe(&bad, PATIENCE).await.unwrap_err();
            assert!(error.starts_with(&words), "{error}");
        }
        end(server).await;
        pod.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_folder_without_a_pod_is_refused() {
    with(|it| async move {
        let source = MountSource::Shared("volume".into());
        let mounts = vec![TaskMount { path: "/a".into(), source, read_only: false }];
        assert!(it.executor.run(TaskSpec { mounts, ..it.shell_spec("true") }).is_err());
    })
    .await;
}

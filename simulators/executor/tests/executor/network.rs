use std::time::Duration;

use sockerless_executor::{TaskEvent, TaskSpec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{is_root, outcome, with};

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_this_machine_is_reached_under_the_hosts_address() {
    with(|it| async move {
        let listener = tokio::net::TcpListener::bind((it.executor.bind_address(), 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            // In this order: busybox's nc leaves once the other side has finished.
            let mut said = vec![0; b"from the task\n".len()];
            stream.read_exact(&mut said).await.unwrap();
            stream.write_all(b"from the machine\n").await.unwrap();
            said
        });
        let done = it.shell(&format!("echo from the task | nc {} {port}", it.executor.host_address())).await;
        assert_eq!(done.text(), "from the machine\n");
        assert_eq!(server.await.unwrap(), b"from the task\n");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_task_can_dial_another() {
    with(|it| async move {
        let mut server =
            it.executor.run(it.shell_spec("echo up; while :; do echo hi | nc -l -p 7000; done")).unwrap();
        let address = loop {
            if let Some(TaskEvent::Started { address, .. }) = server.events.recv().await {
                break address;
            }
        };
        while !matches!(server.events.recv().await, Some(TaskEvent::Output { .. })) {}
        // Only the task itself gets an answer (as an ordinary user, all have the same address).
        let dial = format!("nc -w 1 {address} 7000 < /dev/null || echo refused");
        assert_eq!(it.shell(&dial).await.text(), "refused\n");
        server.stop(Duration::ZERO);
        outcome(server).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_not_reached_from_this_machine_by_a_port_of_its_own() {
    with(|it| async move {
        let (server, _) = it.started(it.shell_spec("echo up; exec nc -l -p 7001")).await;
        assert!(tokio::net::TcpStream::connect("127.0.0.1:7001").await.is_err());
        server.stop(Duration::ZERO);
        outcome(server).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_has_loopback_a_default_route_and_its_name() {
    with(|it| async move {
        let script = "nc -l -p 7002 -e echo over & until nc 127.0.0.1 7002 < /dev/null 2>/dev/null; do sleep 0.01; done
                      grep -c 00000000 /proc/net/route; hostname; grep -c box /etc/hosts; cat /etc/hostname";
        let spec = TaskSpec { hostname: Some("box".into()), ..it.shell_spec(script) };
        let done = it.run(spec).await;
        let text = done.text();
        assert!(text.starts_with("over\n") && text.ends_with("\nbox\n1\nbox\n"), "{text}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_known_to_tasks_that_begin_later_and_to_those_that_run() {
    with(|it| async move {
        let here = it.executor.host_address();
        it.executor.add_host(here, "first first.example").unwrap();
        assert!(it.executor.add_host(here, "a\nb").is_err());
        let script = "echo up; until grep -c second.example /etc/hosts; do sleep 0.01; done; grep -c 'first first.example' /etc/hosts";
        let (running, _) = it.started(it.shell_spec(script)).await;
        it.executor.add_host(here, "second second.example").unwrap();
        let done = outcome(running).await;
        assert!(done.text().ends_with("1\n1\n"), "{}", done.text());
        it.executor.remove_host(here, "first first.example");
        let done = it.run(it.shell_spec("grep -c example /etc/hosts")).await;
        assert_eq!(done.text(), "1\n");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_have_addresses_of_their_own_as_root() {
    with(|it| async move {
        if !is_root() {
            return;
        }
        let mut addresses = std::collections::HashSet::new();
        for _ in 0..5 {
            let mut task = it.executor.run(it.spec("busybox")).unwrap();
            while let Some(event) = task.events.recv().await {
                if let TaskEvent::Started { address, .. } = event {
                    assert!(addresses.insert(address));
                    assert_ne!(address, it.executor.host_address());
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_way_carries_hundreds_of_megabytes() {
    with(|it| async move {
        const LENGTH: usize = 200 * 1024 * 1024;
        let listener = tokio::net::TcpListener::bind((it.executor.bind_address(), 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let begin = std::time::Instant::now();
            let mut buffer = vec![0; 256 * 1024];
            let mut total = 0;
            loop {
                match stream.read(&mut buffer).await.unwrap() {
                    0 => break,
                    count => total += count,
                }
            }
            println!("{} MB/s from a task", total as f64 / 1e6 / begin.elapsed().as_secs_f64());
            total
        });
        let script = format!(
            "dd if=/dev/zero bs=65536 count={} 2>/dev/null | nc {} {port}",
            LENGTH / 65536,
            it.executor.host_address()
        );
        assert_eq!(it.shell(&script).await.exit_code, Some(0));
        assert_eq!(server.await.unwrap(), LENGTH);
    })
    .await;
}

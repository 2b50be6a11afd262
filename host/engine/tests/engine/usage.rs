//! `docker top` and `docker stats`.

use std::{sync::Arc, sync::atomic::AtomicU64, sync::atomic::Ordering, time::Duration};

use futures_util::StreamExt;
use serde_json::json;
use sockerless_engine::*;
use sockerless_ports::link::{
    RunId,
    request::{Fault, FaultKind, Interface, ProcessInfo, Reply, Request, Sample},
};

use crate::world::*;

fn sample(number: u64) -> Sample {
    Sample {
        time: 1_700_000_000_000 + number * 1000,
        cpu_total: number * 500_000_000,
        cpu_user: number * 400_000_000,
        cpu_system: number * 100_000_000,
        machine_cpu: number * 2_000_000_000,
        cpus: 2,
        throttling: [1, 2, 3],
        memory: 1 << 20,
        memory_limit: 1 << 30,
        memory_detail: vec![("inactive_file".into(), 4096)],
        pids: 3,
        pids_limit: 0,
        block: vec![(8, 0, "read".into(), 512)],
        networks: vec![Interface { name: "eth0".into(), received: [1, 2, 3, 4], sent: [5, 6, 7, 8] }],
    }
}

/// Each sample is a second of half a processor after the one before.
async fn world() -> World {
    let world = World::new().await;
    let samples = Arc::new(AtomicU64::new(1));
    world.link.serve(move |request, end| {
        let samples = Arc::clone(&samples);
        async move {
            let init =
                ProcessInfo { pid: 7, user: "root".into(), name: "sh".into(), ..ProcessInfo::default() };
            end.reply(match request {
                Request::Processes => Reply::Processes { list: vec![init] },
                Request::Sample => Reply::Sample(Box::new(sample(samples.fetch_add(1, Ordering::SeqCst)))),
                other => panic!("{other:?}"),
            });
        }
    });
    world
}

const ONCE: StatsRequest = StatsRequest { stream: false, one_shot: false };
const STREAM: StatsRequest = StatsRequest { stream: true, one_shot: false };

async fn json_of(world: &World, request: StatsRequest) -> serde_json::Value {
    let all: Vec<_> = world.engine.stats("box", request).await.unwrap().collect().await;
    assert_eq!(all.len(), 1);
    serde_json::to_value(&all[0]).unwrap()
}

#[tokio::test(start_paused = true)]
async fn one_answer_has_all_that_the_cli_computes_with() {
    let world = world().await;
    let id = world.run("box", &["sleep"]).await;
    let usage = |number: u64| {
        json!({
            "cpu_usage": {
                "total_usage": number * 500_000_000,
                "usage_in_kernelmode": number * 100_000_000,
                "usage_in_usermode": number * 400_000_000,
            },
            "system_cpu_usage": number * 2_000_000_000_u64,
            "online_cpus": 2,
            "throttling_data": {"periods": 1, "throttled_periods": 2, "throttled_time": 3},
        })
    };
    assert_eq!(
        json_of(&world, ONCE).await,
        json!({
            "name": "/box",
            "id": id,
            "read": "2023-11-14T22:13:22.000000000Z",
            "preread": "2023-11-14T22:13:21.000000000Z",
            "pids_stats": {"current": 3},
            "blkio_stats": {
                "io_service_bytes_recursive": [{"major": 8, "minor": 0, "op": "read", "value": 512}],
                "io_serviced_recursive": null,
                "io_queue_recursive": null,
                "io_service_time_recursive": null,
                "io_wait_time_recursive": null,
                "io_merged_recursive": null,
                "io_time_recursive": null,
                "sectors_recursive": null,
            },
            "num_procs": 0,
            "storage_stats": {},
            "cpu_stats": usage(2),
            "precpu_stats": usage(1),
            "memory_stats": {"usage": 1 << 20, "stats": {"inactive_file": 4096}, "limit": 1 << 30},
            "networks": {"eth0": {
                "rx_bytes": 1, "rx_packets": 2, "rx_errors": 3, "rx_dropped": 4,
                "tx_bytes": 5, "tx_packets": 6, "tx_errors": 7, "tx_dropped": 8,
            }},
        })
    );
    let at_once = json_of(&world, StatsRequest { stream: false, one_shot: true }).await;
    assert_eq!(at_once["preread"], "0001-01-01T00:00:00Z");
    assert_eq!(at_once["precpu_stats"]["cpu_usage"]["total_usage"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_compares_each_second_with_the_one_before_and_ends_with_the_container() {
    let world = world().await;
    world.run("box", &["sleep"]).await;
    let mut stream = world.engine.stats("box", STREAM).await.unwrap();
    let totals = |stats: ContainerStats| {
        let total = |cpu: &CpuStats| cpu.cpu_usage.total_usage / 500_000_000;
        (total(&stats.precpu_stats), total(&stats.cpu_stats))
    };
    for expected in [(0, 1), (1, 2), (2, 3)] {
        assert_eq!(totals(stream.next().await.unwrap()), expected);
    }
    world.engine.kill("box", None).await.unwrap();
    world.wait("box").await;
    let stopped = stream.next().await.unwrap();
    assert_eq!(totals(stopped.clone()), (3, 0));
    assert_eq!(stopped.read, "0001-01-01T00:00:00Z");
    assert_eq!(totals(stream.next().await.unwrap()), (0, 0));
    world.engine.start("box").await.unwrap();
    assert_eq!(totals(stream.next().await.unwrap()), (0, 4));
    world.engine.remove("box", RemoveRequest { force: true, ..RemoveRequest::default() }).await.unwrap();
    while stream.next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn a_container_that_does_not_run_uses_nothing() {
    let world = world().await;
    world.create("box", &["sleep"]).await;
    let stats = json_of(&world, ONCE).await;
    assert_eq!(stats["read"], "0001-01-01T00:00:00Z");
    assert_eq!((&stats["memory_stats"], &stats["pids_stats"]), (&json!({}), &json!({})));
    assert_eq!(stats["blkio_stats"]["io_service_bytes_recursive"], json!(null));
    assert_eq!(stats["cpu_stats"], stats["precpu_stats"]);
    assert!(stats.get("networks").is_none());
    assert_eq!(world.engine.stats("ghost", ONCE).await.err().unwrap().kind, ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_stream_waits_for_an_agent_out_of_reach() {
    let world = world().await;
    let id = world.run("box", &["sleep"]).await;
    let run = RunId { container: id, generation: 1 };
    let mut stream = world.engine.stats("box", STREAM).await.unwrap();
    stream.next().await.unwrap();
    world.link.connect(&run, false);
    assert!(tokio::time::timeout(Duration::from_secs(100), stream.next()).await.is_err());
    assert_eq!(world.engine.stats("box", ONCE).await.err().unwrap().kind, ErrorKind::Unavailable);
    world.link.connect(&run, true);
    let next = stream.next().await.unwrap();
    assert_eq!(next.precpu_stats.cpu_usage.total_usage, 500_000_000);
}

#[tokio::test(start_paused = true)]
async fn top_shows_the_agents_processes() {
    let world = world().await;
    let id = world.create("box", &["sleep"]).await;
    let error = world.engine.top("box", None).await.unwrap_err();
    assert_eq!((error.kind, error.message), (ErrorKind::Conflict, format!("container {id} is not running")));
    assert_eq!(world.engine.top("ghost", None).await.unwrap_err().kind, ErrorKind::NotFound);
    world.engine.start("box").await.unwrap();
    let top = world.engine.top("box", None).await.unwrap();
    assert_eq!(top.titles.unwrap().join(" "), "UID PID PPID C STIME TTY TIME CMD");
    let rows = top.processes.unwrap();
    assert_eq!((rows.len(), rows[0][0].as_str(), rows[0][1].as_str()), (1, "root", "7"));
    let shares = world.engine.top("box", Some("aux")).await.unwrap();
    assert_eq!(shares.titles.unwrap()[3], "%MEM");
    let error = world.engine.top("box", Some("--bogus")).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::Internal, "ps: error: unknown gnu long option")
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_agent_cannot_tell_is_said_in_its_words() {
    let world = World::new().await;
    world.link.serve(|_, end| async move {
        end.reply(Reply::Failed(Fault { kind: FaultKind::Unsupported, message: "no /proc here".into() }));
    });
    world.run("box", &["sleep"]).await;
    let top = world.engine.top("box", None).await.unwrap_err();
    let stats = world.engine.stats("box", ONCE).await.err().unwrap();
    for error in [top, stats] {
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Unsupported, "no /proc here"));
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_agent_the_missing_setting_is_named() {
    let world = World::with(None, everything()).await;
    world.cloud.stick(Some(sockerless_ports::backend::Phase::Running));
    world.run("box", &["sleep"]).await;
    let top = world.engine.top("box", None).await.unwrap_err();
    let stats = world.engine.stats("box", ONCE).await.err().unwrap();
    for error in [top, stats] {
        assert_eq!(error.kind, ErrorKind::Unsupported);
        assert!(error.message.contains("SOCKERLESS_CALLBACK_URL"), "{error}");
    }
}

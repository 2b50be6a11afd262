//! What a guest may do with memory, time and its surroundings.

use std::time::Duration;

use futures_util::future::join_all;
use sockerless_ports::{
    Backend as _,
    backend::{ErrorCode, JobContainer, JobHandle, JobSpec, Jobs as _, WorkloadKind},
};
use sockerless_wasm::Limits;

use crate::fixture::{Fixture, command};

fn spec(variables: usize) -> JobSpec {
    let container = JobContainer {
        name: "main".to_owned(),
        env: (0..variables).map(|n| (format!("NAME_{n}"), format!("value {n}"))).collect(),
        ..JobContainer::default()
    };
    JobSpec {
        name: "job-1".to_owned(),
        owner: "owner".to_owned(),
        kind: WorkloadKind::RunToCompletion,
        init: vec![JobContainer { name: "first".to_owned(), ..JobContainer::default() }],
        containers: vec![container],
        volumes: Vec::new(),
        labels: Vec::new(),
        timeout_seconds: None,
        max_retries: 0,
        all_traffic: false,
        zones: Vec::new(),
        accelerator: None,
        expires: None,
        start: true,
    }
}

#[tokio::test]
async fn a_call_goes_through_the_contract_and_back() {
    let plugin = Fixture::new().load(&[]).await.unwrap();
    let handle = plugin.create(&spec(3)).await.unwrap();
    assert_eq!(handle, JobHandle { name: "job-1".to_owned(), state: "first main".to_owned(), started: true });
    let manifest = plugin.manifest();
    assert_eq!((manifest.name.as_str(), manifest.features.pause), ("probe", true));
    assert!(
        manifest.features.start_on_create && manifest.features.init_containers && !manifest.features.sidecars
    );
}

#[tokio::test]
async fn what_a_backend_lacks_is_said_as_the_plugin_says_it() {
    let plugin = Fixture::new().load(&[]).await.unwrap();
    let error = plugin.status(&[]).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
}

#[tokio::test]
async fn a_trap_is_an_error_of_that_call_alone() {
    let plugin = Fixture::new().load(&[]).await.unwrap();
    let error = command(&plugin, "trap").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Internal);
    assert!(error.message.contains("plugin probe: storage.get: the plugin crashed"), "{error}");
    assert_eq!(command(&plugin, "echo on").await.unwrap(), "on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_loop_ends_and_lets_other_calls_through() {
    let limits = Limits { compute: Duration::from_millis(500), ..Limits::default() };
    let plugin = Fixture::with_limits(limits).load(&[]).await.unwrap();
    let looping = {
        let plugin = plugin.clone();
        tokio::spawn(async move { command(&plugin, "loop").await })
    };
    assert_eq!(command(&plugin, "echo meanwhile").await.unwrap(), "meanwhile");
    let error = looping.await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::Internal);
    assert!(error.message.contains("storage.get: it computed for more than 0.5 s"), "{error}");
}

#[tokio::test]
async fn a_memory_bomb_is_an_error_that_names_the_limit() {
    let plugin = Fixture::new().load(&[]).await.unwrap();
    let error = command(&plugin, "memory").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Internal);
    assert!(error.message.contains("bytes of memory, the limit is 67108864"), "{error}");
    assert_eq!(command(&plugin, "echo on").await.unwrap(), "on");
}

#[tokio::test]
async fn a_call_that_waits_for_ever_is_given_up() {
    let limits = Limits { transfer: Duration::from_millis(200), ..Limits::default() };
    let plugin = Fixture::with_limits(limits).load(&[]).await.unwrap();
    let error = command(&plugin, "sleep").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::DeadlineExceeded);
    assert!(error.message.contains("no answer within 0.2 s"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_places_wait_for_their_turn() {
    let limits = Limits { calls_in_flight: 3, ..Limits::default() };
    let plugin = Fixture::with_limits(limits).load(&[]).await.unwrap();
    let answers = join_all((0..200).map(|_| command(&plugin, "echo here"))).await;
    assert!(answers.into_iter().all(|answer| answer.as_deref() == Ok("here")));
}

#[tokio::test]
async fn there_are_no_folders_and_no_environment() {
    let plugin = Fixture::new().load(&[]).await.unwrap();
    assert_ne!(command(&plugin, "folder").await.unwrap(), "readable");
    assert_eq!(command(&plugin, "environment").await.unwrap(), "0");
}

/// Prints figures; `cargo test -p sockerless-wasm figures -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; proves nothing"]
async fn figures() {
    use std::time::Instant;

    use crate::{fixture, server::Server};

    let server = Server::start().await;
    let cache = tempfile::tempdir().unwrap();
    let component = fixture::probe();
    let cold = Instant::now();
    let given = fixture::options(&[("endpoint", &server.address)]);
    let plugin =
        fixture::host(cache.path(), Limits::default()).load("probe", component, given).await.unwrap();
    println!("compile and load: {:?}", cold.elapsed());
    for _ in 0..3 {
        let begin = Instant::now();
        let host = fixture::host(cache.path(), Limits::default());
        let made = begin.elapsed();
        host.load("probe", fixture::probe(), fixture::options(&[])).await.unwrap();
        println!("host {made:?}, load from the cache {:?}", begin.elapsed() - made);
    }
    let large = spec(50);
    let url = format!("fetch {}", server.url("/x"));
    for _ in 0..3 {
        let mut times: [Vec<_>; 3] = Default::default();
        for _ in 0..300 {
            let begin = Instant::now();
            command(&plugin, "echo x").await.unwrap();
            times[0].push(begin.elapsed());
            let begin = Instant::now();
            plugin.create(&large).await.unwrap();
            times[1].push(begin.elapsed());
            let begin = Instant::now();
            command(&plugin, &url).await.unwrap();
            times[2].push(begin.elapsed());
        }
        for (name, mut times) in ["echo", "create, 50 variables", "HTTP GET"].into_iter().zip(times) {
            times.sort_unstable();
            println!("{name}: min {:?}, p50 {:?}", times[0], times[times.len() / 2]);
        }
    }
}

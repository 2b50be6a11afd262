//! Replacing a component while it is in use.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crate::{
    fixture::{Fixture, command, marked, patched, probe},
    server::Server,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_under_load_fails_no_call() {
    let server = Server::start().await;
    let plugin = Fixture::new().load(&[("endpoint", &server.address)]).await.unwrap();
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (plugin, stop, done) = (plugin.clone(), stop.clone(), done.clone());
            let fetch = format!("fetch {}", server.url("/x"));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(command(&plugin, "echo x").await.as_deref(), Ok("x"));
                    assert_eq!(command(&plugin, &fetch).await.as_deref(), Ok("200\nhello from /x"));
                    done.fetch_add(2, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut digests = vec![plugin.digest()];
    for word in ["good", "fine", "good", "fine"] {
        let before = done.load(Ordering::Relaxed);
        plugin.swap(marked(word)).await.unwrap();
        digests.push(plugin.digest());
        // Every component carries calls before the next one comes.
        while done.load(Ordering::Relaxed) < before + 20 {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(digests[0], digests[2]);
    assert_ne!(digests[0], digests[1]);
}

#[tokio::test]
async fn a_swap_to_a_broken_component_keeps_the_old_one() {
    let plugin = Fixture::new().load(&[]).await.unwrap();
    let digest = plugin.digest();
    for broken in [marked("trap"), marked("deny"), probe()[..5000].to_vec()] {
        let error = plugin.swap(broken).await.unwrap_err();
        assert!(error.message.ends_with("the component that was there stays in place"), "{error}");
        assert_eq!(plugin.digest(), digest);
        assert_eq!(command(&plugin, "echo still").await.unwrap(), "still");
    }
}

#[tokio::test]
async fn a_swap_says_what_was_there_and_what_is_and_the_same_bytes_change_nothing() {
    let plugin = Fixture::new().load(&[]).await.unwrap();
    let before = plugin.standing();
    let same = plugin.swap(probe()).await.unwrap();
    assert_eq!((&same.before, &same.after), (&before, &before));
    let swap = plugin.swap(marked("good")).await.unwrap();
    assert_eq!(swap.before, before);
    assert_eq!(swap.after, plugin.standing());
    assert_ne!(swap.after.digest, before.digest);
}

#[tokio::test]
async fn a_component_that_asks_for_more_than_the_first_one_does_not_get_it_by_a_swap() {
    let plugin = Fixture::new().load(&[]).await.unwrap();
    let greedy = patched("cloud.invalid", "other.invalid");
    let swap = plugin.swap(greedy).await.unwrap();
    let hosts = |grants: &[sockerless_ports::backend::HttpGrant]| -> Vec<String> {
        grants.iter().map(|grant| grant.host.clone()).collect()
    };
    assert_eq!(hosts(&swap.after.withheld), ["other.invalid"]);
    assert!(!hosts(&swap.after.granted).contains(&"other.invalid".to_owned()), "{:?}", swap.after);
    let error = command(&plugin, "fetch https://other.invalid/").await.unwrap_err();
    assert!(error.message.contains("not granted to this plugin"), "{error}");
}

#[tokio::test]
async fn another_backends_component_is_no_successor() {
    let plugin = Fixture::new().load(&[]).await.unwrap();
    let error = plugin.swap(patched("probe0.1.0", "prawn0.1.0")).await.unwrap_err();
    assert!(error.message.contains("it is the backend prawn, not probe"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_under_way_ends_in_the_component_that_it_began_in() {
    let server = Server::start().await;
    let limits =
        sockerless_wasm::Limits { transfer: std::time::Duration::from_secs(2), ..Default::default() };
    let plugin = Fixture::with_limits(limits).load(&[("endpoint", &server.address)]).await.unwrap();
    let waiting = {
        let (plugin, fetch) = (plugin.clone(), format!("fetch {}", server.url("/silent")));
        tokio::spawn(async move { command(&plugin, &fetch).await })
    };
    while server.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    plugin.swap(marked("good")).await.unwrap();
    assert_eq!(command(&plugin, "echo new").await.unwrap(), "new");
    // It was neither cut off by the swap nor forgotten: it ends by its own deadline.
    let error = waiting.await.unwrap().unwrap_err();
    assert!(error.message.contains("no answer within 2 s"), "{error}");
}

//! What is durable before anybody relies on it.

use super::*;

/// A place that nobody waits for any more would be waited in by the next daemon.
#[tokio::test(start_paused = true)]
async fn no_agent_goes_and_no_member_is_started_elsewhere_before_it_is_durable_that_a_pod_is_closed() {
    let world = World::new().await;
    let short = member(&world, "short", &["exit", "0"]).await;
    let never = member(&world, "never", &["sleep"]).await;
    world.store.hold(r#""closed":true"#);
    world.engine.start(&short).await.unwrap();
    assert_eq!(world.wait(&short).await, 0);
    world.store.holds().await;
    let starting = {
        let (engine, never) = (world.engine.clone(), never.clone());
        tokio::spawn(async move { engine.start(&never).await })
    };
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((world.link.awaited(&short), world.link.awaited(&never)), (vec![1], vec![1]));
    assert!(world.link.connected(&never, 1));
    assert_eq!((world.cloud.jobs(), world.cloud.made().len()), (1, 1));
    world.store.release();
    starting.await.unwrap().unwrap();
    assert_eq!((world.status(&never), world.cloud.made().len()), (Status::RUNNING, 2));
    world.engine.stop(&never, None, None).await.unwrap();
    world.settled().await;
    assert_eq!(world.cloud.clashes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pod_whose_closing_was_not_kept_is_in_nobodys_way() {
    let mut world = World::new().await;
    let short = member(&world, "short", &["exit", "0"]).await;
    let never = member(&world, "never", &["sleep"]).await;
    world.store.hold(r#""closed":true"#);
    world.engine.start(&short).await.unwrap();
    assert_eq!(world.wait(&short).await, 0);
    world.store.holds().await;
    world.crash().await;
    // So that the next daemon does not close it at once either.
    world.store.hold(r#""closed":true"#);
    world.reopen().await;
    world.store.release();
    world.engine.start(&never).await.unwrap();
    assert_eq!(world.status(&never), Status::RUNNING);
    world.engine.stop(&never, None, None).await.unwrap();
    world.settled().await;
    assert_eq!(world.cloud.clashes(), 0);
    assert!(world.cloud.made().values().all(|times| *times == 1), "{:?}", world.cloud.made());
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_welcomed_for_the_next_run_once_the_next_daemon_would_know_it_by_that() {
    let mut world = World::new().await;
    let (one, other) = two(&world).await;
    world.store.hold(r#""serves":2"#);
    let restarting = {
        let (engine, other) = (world.engine.clone(), other.clone());
        tokio::spawn(async move { engine.restart(&other, None, None).await })
    };
    world.store.holds().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!world.link.connected(&other, 2));
    world.crash().await;
    restarting.await.unwrap().ok();
    world.reopen().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((world.status(&one), world.status(&other)), (Status::RUNNING, Status::RUNNING));
    assert!(world.link.connected(&other, 2));
    assert_eq!((world.cloud.jobs(), world.cloud.clashes()), (1, 0));
}

/// The power goes after each commit in turn.
#[tokio::test(start_paused = true)]
async fn a_crash_between_a_start_in_place_and_the_removal_after_it_leaves_no_agent_outside() {
    for commits in 0..16 {
        let mut world = World::new().await;
        let (one, other) = two(&world).await;
        world.store.cut_after(commits);
        let changing = {
            let (engine, other) = (world.engine.clone(), other.clone());
            tokio::spawn(async move {
                engine.restart(&other, None, None).await.ok();
                engine.remove(&other, force()).await.ok();
            })
        };
        tokio::time::sleep(Duration::from_secs(30)).await;
        world.crash().await;
        changing.await.unwrap();
        world.reopen().await;
        tokio::time::sleep(LONG).await;
        let awaited = world.link.awaited(&other);
        let there = awaited.iter().filter(|generation| world.link.connected(&other, **generation)).count();
        assert_eq!(there, 1, "after {commits}: {awaited:?}");
        assert_eq!((world.status(&one), world.cloud.jobs()), (Status::RUNNING, 1), "after {commits}");
        assert_eq!(world.cloud.clashes(), 0, "after {commits}");
    }
}

use crate::world::*;

#[tokio::test(start_paused = true)]
async fn fifty_containers_at_once_all_end_with_their_own_code_and_output() {
    let world = World::new().await;
    let runs: Vec<_> = (0..50)
        .map(|number: usize| {
            let engine = world.engine.clone();
            tokio::spawn(async move {
                let text = format!("number {number}");
                let argv = if number.is_multiple_of(2) { vec!["echo", &text] } else { vec!["exit", "5"] };
                let id = engine.create(request("", &argv)).await.unwrap().id;
                let exit = engine.wait(&id, Default::default());
                drop(exit);
                let exit = engine.wait(&id, sockerless_engine::WaitCondition::NextExit).unwrap();
                engine.start(&id).await.unwrap();
                (number, id, exit.await.status_code)
            })
        })
        .collect();
    for run in runs {
        let (number, id, code) = run.await.unwrap();
        assert_eq!(code, if number % 2 == 0 { 0 } else { 5 });
        let expected = if number % 2 == 0 { format!("number {number}\n") } else { String::new() };
        assert_eq!(world.output(&id).await, expected);
    }
    world.settled().await;
    assert_eq!(world.cloud.made().len(), 50);
    assert_eq!(world.cloud.puts(), 1);
}

#[tokio::test(start_paused = true)]
async fn names_are_given_to_one_of_many_who_ask_at_once() {
    let world = World::new().await;
    let creates: Vec<_> = (0..10)
        .map(|_| {
            let engine = world.engine.clone();
            tokio::spawn(async move { engine.create(request("same", &["sleep"])).await })
        })
        .collect();
    let mut won = 0;
    for create in creates {
        match create.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert!(
                error
                    .message
                    .starts_with("Conflict. The container name \"/same\" is already in use by container")
            ),
        }
    }
    assert_eq!(won, 1);
}

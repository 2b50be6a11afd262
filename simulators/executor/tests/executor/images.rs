use std::sync::Arc;

use sockerless_executor::{ExecutorError, FailureReason, TaskSpec};

use crate::support::{HOST, Image, outcome, with};

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_once_pull_once_and_a_third_not_at_all() {
    with(|it| async move {
        let tasks = [(); 4].map(|()| it.executor.run(it.shell_spec("echo x")).unwrap());
        let mut pulled = 0;
        for task in tasks {
            let done = outcome(task).await;
            assert_eq!(done.text(), "x\n");
            pulled += usize::from(done.pulled);
        }
        // One layer and one configuration.
        assert_eq!((it.registry.gets("/blobs/"), pulled), (2, 1));
        assert!(!it.shell("true").await.pulled);
        assert_eq!(it.registry.gets("/blobs/"), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_share_a_layer_fetch_it_once() {
    with(|it| async move {
        let other = Image::busybox().config("Cmd", serde_json::json!(["echo", "other"]));
        it.registry.push("other", &other);
        let (one, two) = tokio::join!(it.shell("echo one"), it.run(it.spec("other")));
        assert_eq!((one.text(), two.text()), ("one\n", "other\n"));
        // Two configurations, one layer.
        assert_eq!(it.registry.gets("/blobs/"), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_run_by_tag_by_digest_and_through_an_index() {
    with(|it| async move {
        let digest = it.registry.push("busybox", &Image::busybox());
        let arm =
            it.registry.push_for("busybox", &Image::busybox().config("Env", serde_json::json!([])), "arm64");
        it.registry.push_index("busybox", "multi", &[(&arm, "arm64"), (&digest, "amd64")]);
        it.registry.push_index("busybox", "arm", &[(&arm, "arm64")]);
        let run = async |reference: String| {
            let command = vec!["echo".into(), "ran".into()];
            it.run(TaskSpec { image: format!("{HOST}/{reference}"), command, ..it.spec("") }).await
        };
        assert_eq!(run(format!("busybox@{digest}")).await.text(), "ran\n");
        assert_eq!(run("busybox:multi".into()).await.text(), "ran\n");
        for wrong in ["busybox:arm".to_owned(), format!("busybox@{arm}")] {
            assert_eq!(run(wrong).await.reason(), FailureReason::ImagePlatform);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moved_is_followed() {
    with(|it| async move {
        for word in ["one", "two"] {
            it.registry.push("moving", &Image::busybox().config("Cmd", serde_json::json!(["echo", word])));
            assert_eq!(it.run(it.spec("moving")).await.text(), format!("{word}\n"));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_fetched_where_the_registry_asks_for_one() {
    with(|it| async move {
        it.registry.push("private/busybox", &Image::busybox());
        let spec = TaskSpec { command: vec!["echo".into(), "in".into()], ..it.spec("private/busybox") };
        assert_eq!(it.run(spec.clone()).await.text(), "in\n");
        let spec = TaskSpec { image: "anonymous.test/private/busybox".into(), ..spec };
        let done = it.run(spec).await;
        assert_eq!(done.reason(), FailureReason::ImageUnauthorized);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_registry_lacks_or_gets_wrong_is_told_apart() {
    with(|it| async move {
        let missing = it.run(it.spec("missing")).await;
        assert_eq!(missing.reason(), FailureReason::ImageNotFound);

        let image = Image::busybox().layer(&[crate::support::Entry::file("extra", b"1")]);
        it.registry.push("broken", &image);
        let layer = crate::support::digest(&image.layers[1]);
        it.registry.corrupt(&format!("broken/blobs/{layer}"), vec![0; image.layers[1].len()]);
        let done = it.run(it.spec("broken")).await;
        assert_eq!(done.reason(), FailureReason::ImageInvalid);
        assert!(done.failed.unwrap().1.contains(&layer));

        let mut truncated = Image::busybox();
        let cut = truncated.layers[0].len() / 2;
        truncated.layers[0].truncate(cut);
        it.registry.push("truncated", &truncated);
        assert_eq!(it.run(it.spec("truncated")).await.reason(), FailureReason::ImageInvalid);

        let spec = TaskSpec { image: "UPPER CASE".into(), ..it.spec("") };
        assert_eq!(it.run(spec).await.reason(), FailureReason::ImageInvalid);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_answer_is_unavailable() {
    with(|it| async move {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut config = crate::support::config(it.folder.path().join("second"), &it.registry);
        config.registries.get_mut(HOST).unwrap().base_url = format!("http://127.0.0.1:{port}");
        let second = sockerless_executor::Executor::open(config).await.unwrap();
        let done = outcome(second.run(it.spec("busybox")).unwrap()).await;
        second.purge().await.unwrap();
        assert_eq!(done.reason(), FailureReason::ImageUnavailable);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_survive_a_restart_and_need_no_second_pull() {
    with(|it| async move {
        let config = crate::support::config(it.folder.path().join("second"), &it.registry);
        let first = sockerless_executor::Executor::open(config.clone()).await.unwrap();
        assert_eq!(outcome(first.run(it.shell_spec("echo 1")).unwrap()).await.text(), "1\n");
        assert!(matches!(
            sockerless_executor::Executor::open(config.clone()).await,
            Err(ExecutorError::Locked(_))
        ));
        first.shutdown().await;
        assert!(matches!(first.run(it.spec("busybox")), Err(ExecutorError::ShutDown)));
        drop(Arc::try_unwrap(first));
        let second = sockerless_executor::Executor::open(config).await.unwrap();
        let done = outcome(second.run(it.shell_spec("echo 2")).unwrap()).await;
        second.purge().await.unwrap();
        assert_eq!((done.text(), done.pulled), ("2\n", false));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_a_hundred_layers_runs() {
    with(|it| async move {
        let mut image = Image::busybox();
        for number in 0..100 {
            image = image.layer(&[crate::support::Entry::file(&format!("srv/{number}"), b"x")]);
        }
        it.registry.push("deep", &image);
        let spec =
            TaskSpec { command: ["sh", "-c", "cat /srv/*"].map(str::to_owned).to_vec(), ..it.spec("deep") };
        assert_eq!(it.run(spec).await.text().len(), 100);
    })
    .await;
}

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use sockerless_ports::{
    backend::ImageSources,
    registry::{ImageError, Login, Registry},
};

use super::{
    Bench,
    archives::{docker, layer, sent},
    hub::{Door, Hub},
    login, silent,
};
use crate::{Images, ImagesConfig, Logins};

pub fn sources(direct: &[&str], repository: Option<String>) -> ImageSources {
    ImageSources {
        direct: direct.iter().map(|d| (*d).to_owned()).collect(),
        repository,
        credential: None,
        platforms: vec![],
    }
}

#[tokio::test]
async fn what_the_cloud_can_pull_is_named_where_it_is() {
    let hub = Hub::open(Door::Open).await;
    let digest = hub.put_image("a", "latest", "amd64", "x");
    let bench = Bench::new().await;
    let id = bench.pull(&hub.url("a")).await.unwrap().id;
    let there = hub.url(&format!("a@{digest}"));
    for pattern in [hub.host.as_str(), &format!("*{}", &hub.host[3..])] {
        assert_eq!(bench.images.provide(&id, &sources(&[pattern], None), silent()).await.unwrap(), there);
    }
    assert_eq!(bench.images.provide(&id, &sources(&[], Some(hub.url("a"))), silent()).await.unwrap(), there);
    let none =
        bench.images.provide(&id, &sources(&["docker.io"], None), silent()).await.unwrap_err().to_string();
    assert!(none.contains("setting `repository`") && none.contains("cannot pull"), "{none}");
}

#[tokio::test]
async fn an_image_is_copied_once_and_blobs_that_are_there_are_skipped() {
    let (from, to) = (Hub::open(Door::Open).await, Hub::open(Door::Open).await);
    let digest = from.put_image("team/app", "latest", "amd64", "x");
    to.put_blob("copies/team/app", "base layer of x");
    let bench = Bench::new().await;
    let id = bench.pull(&from.url("team/app")).await.unwrap().id;
    let wanted = sources(&[], Some(to.url("copies")));
    let expected = to.url(&format!("copies/team/app@{digest}"));
    assert_eq!(bench.images.provide(&id, &wanted, silent()).await.unwrap(), expected);
    assert_eq!(
        to.asked("PUT").iter().filter(|line| line.contains("/uploads/")).count(),
        2,
        "top layer and config"
    );
    let manifests = to.shelf.lock().unwrap().manifests.clone();
    let stored = &manifests[&("copies/team/app".to_owned(), digest.replace(':', "-"))];
    assert_eq!(stored.0, crate::manifest::DOCKER_MANIFEST);
    to.asked("HEAD");
    assert_eq!(bench.images.provide(&id, &wanted, silent()).await.unwrap(), expected);
    assert!(to.asked("HEAD").is_empty(), "known for some minutes");
    let bench = bench.reopened().await;
    assert_eq!(bench.images.provide(&id, &wanted, silent()).await.unwrap(), expected);
    assert_eq!(
        (to.asked("HEAD").len(), to.asked("PUT").len(), to.asked("POST").len()),
        (1, 0, 2),
        "the manifest is there"
    );
}

#[tokio::test]
async fn what_is_forgotten_after_a_failed_start_is_looked_for_and_copied_again() {
    let (from, to) = (Hub::open(Door::Open).await, Hub::open(Door::Open).await);
    from.put_image("team/app", "latest", "amd64", "x");
    let bench = Bench::new().await;
    let id = bench.pull(&from.url("team/app")).await.unwrap().id;
    let wanted = sources(&[], Some(to.url("copies")));
    let expected = bench.images.provide(&id, &wanted, silent()).await.unwrap();
    to.shelf.lock().unwrap().manifests.clear();
    bench.images.provide(&id, &wanted, silent()).await.unwrap();
    assert!(to.shelf.lock().unwrap().manifests.is_empty(), "known for some minutes");
    bench.images.forget(&id);
    assert_eq!(bench.images.provide(&id, &wanted, silent()).await.unwrap(), expected);
    assert!(!to.shelf.lock().unwrap().manifests.is_empty());
}

#[tokio::test]
async fn a_loaded_image_is_copied_from_disk_and_mounts_what_another_repository_has() {
    let to = Hub::open(Door::Open).await;
    let bench = Bench::new().await;
    let (a, b) = (layer("a"), layer("b"));
    bench.images.load(sent(docker(&["one"], &[&a])), silent()).await.unwrap();
    bench.images.load(sent(docker(&["two"], &[&a, &b])), silent()).await.unwrap();
    let wanted = sources(&["docker.io"], Some(to.url("copies")));
    for name in ["one", "two"] {
        let image = bench.images.find(name).await.unwrap();
        let reference = bench.images.provide(&image.id, &wanted, silent()).await.unwrap();
        assert_eq!(reference, to.url(&format!("copies/library/{name}@{}", image.manifest_digest)));
    }
    let posts = to.asked("POST");
    assert_eq!(posts.iter().filter(|line| line.contains("from=copies/library/one")).count(), 1, "{posts:?}");
    let uploads = to.asked("PUT").iter().filter(|line| line.contains("/uploads/")).count();
    assert_eq!(uploads, 4, "two layers, two configurations");
    // The copy can be pulled, and is the same image.
    let two = bench.images.find("two").await.unwrap();
    assert_eq!(
        Bench::new()
            .await
            .pull(&to.url(&format!("copies/library/two@{}", two.manifest_digest)))
            .await
            .unwrap()
            .id,
        two.id
    );
}

#[tokio::test]
async fn many_who_want_the_same_image_share_the_copying() {
    let (from, to) = (Hub::open(Door::Open).await, Hub::open(Door::Open).await);
    from.put_image("app", "latest", "amd64", "x");
    let bench = Bench::new().await;
    let id = bench.pull(&from.url("app")).await.unwrap().id;
    let wanted = sources(&[], Some(to.url("copies")));
    let calls = (0..20).map(|_| bench.images.provide(&id, &wanted, silent()));
    for answer in futures_util::future::join_all(calls).await {
        answer.unwrap();
    }
    assert_eq!(to.asked("POST").len(), 3, "two layers and the configuration");
}

#[tokio::test]
async fn a_failing_upload_is_tried_again_and_a_later_call_goes_on() {
    let (from, to) = (Hub::open(Door::Open).await, Hub::open(Door::Open).await);
    from.put_image("app", "latest", "amd64", "x");
    let bench = Bench::new().await;
    let id = bench.pull(&from.url("app")).await.unwrap().id;
    let wanted = sources(&[], Some(to.url("copies")));
    to.shelf.lock().unwrap().fail_uploads = 2;
    bench.images.provide(&id, &wanted, silent()).await.unwrap();

    from.put_image("app", "latest", "amd64", "y");
    let id = bench.pull(&from.url("app")).await.unwrap().id;
    to.shelf.lock().unwrap().fail_uploads = 100;
    let error = bench.images.provide(&id, &wanted, silent()).await.unwrap_err().to_string();
    assert!(error.contains("500 Internal Server Error") && error.contains(&to.host), "{error}");
    to.shelf.lock().unwrap().fail_uploads = 0;
    bench.images.provide(&id, &wanted, silent()).await.unwrap();
}

#[tokio::test]
async fn a_private_image_is_copied_with_the_login_that_pulled_it_and_a_lost_login_is_named() {
    let (from, to) = (Hub::open(Door::Token).await, Hub::open(Door::Open).await);
    from.put_image("app", "latest", "amd64", "x");
    let bench = Bench::new().await;
    let (image, _) = bench.pull_as(&from.url("app"), None, Some(login("user", "secret"))).await.unwrap();
    // The registry is one that the cloud reaches, but not this image without a login.
    let wanted = |path: &str| sources(&[&from.host], Some(to.url(path)));
    let reference = bench.images.provide(&image.id, &wanted("copies"), silent()).await.unwrap();
    assert!(reference.starts_with(&to.url("copies/app@")), "{reference}");
    let bench = bench.reopened().await;
    to.shelf.lock().unwrap().blobs.clear();
    let error = bench.images.provide(&image.id, &wanted("others"), silent()).await.unwrap_err();
    assert!(matches!(&error, ImageError::Denied(text) if text.contains("pull the image again")), "{error}");
    // With a login that was not needed the image stays where it is.
    from.shelf.lock().unwrap().door = Door::Open;
    assert!(
        bench.images.provide(&image.id, &wanted("copies"), silent()).await.unwrap().starts_with(&from.host)
    );
}

#[derive(Debug, Default)]
pub struct Counting(pub AtomicUsize);

#[async_trait]
impl Logins for Counting {
    async fn login(&self, credential: &str, _: &str) -> Result<Option<Login>, ImageError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        match credential {
            "known" => Ok(Some(login("user", "secret"))),
            "shaky" if self.0.load(Ordering::Relaxed) < 3 => Err(ImageError::Unavailable("busy".into())),
            "shaky" => Ok(Some(login("user", "secret"))),
            "down" => Err(ImageError::Unavailable("busy".into())),
            other => Err(ImageError::Denied(format!("no credential {other}"))),
        }
    }
}

#[tokio::test]
async fn the_backends_credential_opens_its_repository() {
    for door in [Door::Basic, Door::Token] {
        let (from, to) = (Hub::open(Door::Open).await, Hub::open(door).await);
        from.put_image("app", "latest", "amd64", "x");
        let bench = Bench::new().await;
        let logins = Arc::new(Counting::default());
        let images = Images::open(
            bench.folder.path().join("own"),
            bench.store.clone(),
            logins.clone(),
            ImagesConfig::default(),
        )
        .await
        .unwrap();
        let bench = Bench { images, ..bench };
        let id = bench.pull(&from.url("app")).await.unwrap().id;
        let wanted = |credential: Option<&str>| ImageSources {
            credential: credential.map(Into::into),
            ..sources(&[], Some(to.url("copies")))
        };
        let refused = bench.images.provide(&id, &wanted(None), silent()).await.unwrap_err();
        assert!(
            matches!(&refused, ImageError::Denied(text) if text.contains("the backend's repository")),
            "{refused}"
        );
        let unknown = bench.images.provide(&id, &wanted(Some("other")), silent()).await.unwrap_err();
        assert_eq!(unknown, ImageError::Denied("no credential other".into()));
        bench.images.provide(&id, &wanted(Some("known")), silent()).await.unwrap();
        assert_eq!(logins.0.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test]
async fn a_login_is_asked_for_again_while_its_provider_is_in_trouble() {
    let (from, to) = (Hub::open(Door::Open).await, Hub::open(Door::Basic).await);
    from.put_image("app", "latest", "amd64", "x");
    for (credential, asked) in [("shaky", 3), ("down", 3)] {
        let bench = Bench::new().await;
        let logins = Arc::new(Counting::default());
        let folder = bench.folder.path().join("own");
        let images =
            Images::open(folder, bench.store.clone(), logins.clone(), ImagesConfig::default()).await.unwrap();
        let bench = Bench { images, ..bench };
        let id = bench.pull(&from.url("app")).await.unwrap().id;
        let wanted =
            ImageSources { credential: Some(credential.into()), ..sources(&[], Some(to.url("copies"))) };
        let answer = bench.images.provide(&id, &wanted, silent()).await;
        match credential {
            "shaky" => assert!(answer.is_ok(), "{answer:?}"),
            _ => assert_eq!(answer, Err(ImageError::Unavailable("busy".into()))),
        }
        assert_eq!(logins.0.load(Ordering::Relaxed), asked);
    }
}

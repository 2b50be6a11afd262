use sockerless_ports::{
    backend::ImageSources,
    registry::{CommitImage, ImageConfig, ImageError, Registry, Removed},
};

use super::{
    Bench,
    archives::{docker, gzip, layer, sent, tar},
    hub::{Door, Hub},
    silent,
};
use crate::digest;
use futures_util::TryStreamExt;

async fn bytes(archive: sockerless_ports::registry::Archive) -> Result<Vec<u8>, String> {
    let pieces: Vec<bytes::Bytes> = archive.try_collect().await.map_err(|error| error.to_string())?;
    Ok(pieces.concat())
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bytes), &mut plain).unwrap();
    plain
}

fn over(parent: &str, name: &str) -> CommitImage {
    CommitImage {
        parent: parent.into(),
        name: Some(name.into()),
        author: "me".into(),
        comment: "why".into(),
        created_by: "sh -c x".into(),
        config: ImageConfig { user: "web".into(), ..ImageConfig::default() },
    }
}

fn to(hub: &Hub) -> ImageSources {
    ImageSources { direct: vec![], repository: Some(hub.url("copies")), credential: None, platforms: vec![] }
}

#[tokio::test]
async fn layers_are_read_from_disk_and_from_where_the_image_came_from() {
    let bench = Bench::new().await;
    let (a, b) = (layer("a"), layer("b"));
    bench.images.load(sent(docker(&["x:1"], &[&a, &b])), silent()).await.unwrap();
    let id = bench.images.find("x:1").await.unwrap().id;
    for (number, layer) in [&a, &b].into_iter().enumerate() {
        let stored = bytes(bench.images.layer(&id, number).await.unwrap()).await.unwrap();
        assert_eq!(unpacked(&stored), *layer);
    }
    assert!(bench.images.layer(&id, 2).await.is_err());

    let hub = Hub::open(Door::Open).await;
    hub.put_image("app", "latest", "amd64", "x");
    let id = bench.pull(&hub.url("app")).await.unwrap().id;
    let stored = bytes(bench.images.layer(&id, 0).await.unwrap()).await.unwrap();
    assert_eq!(stored, b"base layer of x");
    let wrong = digest::of(b"base layer of x");
    hub.shelf.lock().unwrap().blobs.insert(("app".into(), wrong), b"another layer!!".as_slice().into());
    let error = bytes(bench.images.layer(&id, 0).await.unwrap()).await.unwrap_err();
    assert!(error.contains("verification failed"), "{error}");
    hub.shelf.lock().unwrap().blobs.clear();
    assert!(matches!(bench.images.layer(&id, 0).await, Err(ImageError::Unavailable(_))));
}

#[tokio::test]
async fn a_commit_is_its_parent_and_a_layer() {
    let bench = Bench::new().await;
    let (a, b) = (layer("a"), layer("b"));
    bench.images.load(sent(docker(&["x:1"], &[&a])), silent()).await.unwrap();
    let parent = bench.images.find("x:1").await.unwrap();
    let made = bench.images.commit(sent(b.clone()), over(&parent.id, "y")).await.unwrap();
    assert_eq!(made.diff_ids, [digest::of(&a), digest::of(&b)]);
    assert_eq!(
        (made.tags.as_slice(), made.author.as_str(), made.comment.as_str()),
        (&["y:latest".to_owned()][..], "me", "why")
    );
    let step = made.history.last().unwrap();
    assert_eq!(
        (step.created_by.as_str(), step.comment.as_str(), step.empty_layer),
        ("sh -c x", "why", false)
    );
    assert_eq!(
        (made.config.user.as_str(), made.architecture.as_str(), made.os.as_str()),
        ("web", "amd64", "linux")
    );

    // Nothing changed: the history alone tells of it.
    let same = bench.images.commit(sent(tar(&[])), over(&made.id, "z")).await.unwrap();
    assert_eq!((same.diff_ids.len(), same.history.last().unwrap().empty_layer), (2, true));
    assert_eq!(bench.staged(), 0);

    // It stands on its own feet.
    bench.images.remove("x:1", true, &[]).await.unwrap();
    let bench = bench.reopened().await;
    let hub = Hub::open(Door::Open).await;
    let reference = bench.images.provide(&made.id, &to(&hub), silent()).await.unwrap();
    assert_eq!(reference, hub.url(&format!("copies/library/y@{}", made.manifest_digest)));
    assert_eq!(Bench::new().await.pull(&reference).await.unwrap().id, made.id);
    let gone = bench.images.commit(sent(b), over(&parent.id, "n")).await.unwrap_err();
    assert!(matches!(gone, ImageError::NotFound(_)), "{gone}");
}

#[tokio::test]
async fn a_commit_over_a_pulled_image_keeps_its_own_layer_alone() {
    let (from, hub) = (Hub::open(Door::Open).await, Hub::open(Door::Open).await);
    from.put_image("app", "latest", "amd64", "x");
    let bench = Bench::new().await;
    let parent = bench.pull(&from.url("app")).await.unwrap();
    let made = bench.images.commit(sent(layer("own")), over(&parent.id, "y:1")).await.unwrap();
    let again = bench.images.commit(sent(layer("more")), over(&made.id, "y:2")).await.unwrap();
    assert_eq!(bench.blobs(), 2);
    let removed = bench.images.remove("y:1", false, &[]).await.unwrap();
    assert!(removed.contains(&Removed::Deleted(made.id)), "{removed:?}");
    let bench = bench.reopened().await;
    assert_eq!(bench.blobs(), 2, "the second needs both");
    // The cloud could pull the parent by itself, but not this.
    let direct = ImageSources { direct: vec![from.host.clone()], ..to(&hub) };
    let reference = bench.images.provide(&again.id, &direct, silent()).await.unwrap();
    assert!(reference.starts_with(&hub.url("copies/library/y@")), "{reference}");
    assert_eq!(Bench::new().await.pull(&reference).await.unwrap().diff_ids, again.diff_ids);
    let stored = bytes(bench.images.layer(&again.id, 0).await.unwrap()).await.unwrap();
    assert_eq!(stored, b"base layer of x");
}

#[tokio::test]
async fn a_layer_that_breaks_off_makes_no_image() {
    let bench = Bench::new().await;
    bench.images.load(sent(docker(&["x:1"], &[&layer("a")])), silent()).await.unwrap();
    let parent = bench.images.find("x:1").await.unwrap().id;
    let broken =
        futures_util::stream::iter([Ok(layer("b").into()), Err(std::io::Error::other("the agent is gone"))]);
    let error = bench.images.commit(Box::pin(broken), over(&parent, "y")).await.unwrap_err();
    assert!(matches!(&error, ImageError::Internal(words) if words.contains("the agent is gone")), "{error}");
    assert_eq!((bench.images.list().await.len(), bench.blobs(), bench.staged()), (1, 1, 0));
    let named = CommitImage { name: Some("Bad".into()), ..over(&parent, "") };
    assert!(matches!(bench.images.commit(sent(layer("b")), named).await, Err(ImageError::Invalid(_))));
}

#[tokio::test]
async fn what_is_saved_is_loaded_as_the_same_images_by_both_tables() {
    let hub = Hub::open(Door::Open).await;
    let bench = Bench::new().await;
    let (a, b) = (layer("a"), layer("b"));
    bench.images.load(sent(docker(&["x:1", "x:2", "other"], &[&a, &b])), silent()).await.unwrap();
    let x = bench.images.find("x:1").await.unwrap();
    let made = bench.images.commit(sent(gzip(&layer("c"))), over(&x.id, "made")).await.unwrap();
    hub.put_image("app", "latest", "amd64", "x");

    let wanted = ["x".to_owned(), "made".to_owned(), "other:latest".to_owned()];
    let archive = bytes(bench.images.save(&wanted).await.unwrap()).await.unwrap();
    let other = Bench::new().await;
    other.images.load(sent(archive.clone()), silent()).await.unwrap();
    let mut tags: Vec<(String, Vec<String>)> = Vec::new();
    for image in other.images.list().await {
        tags.push((image.id, image.tags));
    }
    tags.sort();
    let mut expected = vec![
        (x.id.clone(), vec!["other:latest".to_owned(), "x:1".into(), "x:2".into()]),
        (made.id.clone(), vec!["made:latest".to_owned()]),
    ];
    expected.sort();
    assert_eq!(tags, expected);
    assert_eq!(other.images.find("made").await.unwrap().manifest_digest, made.manifest_digest);

    // As an OCI layout alone, and by id without a name.
    let mut builder = tar::Builder::new(Vec::new());
    let nameless = bytes(bench.images.save(std::slice::from_ref(&x.id)).await.unwrap()).await.unwrap();
    let mut archive = tar::Archive::new(nameless.as_slice());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path_bytes().as_ref() != b"manifest.json" {
            let header = entry.header().clone();
            builder.append(&header, &mut entry).unwrap();
        }
    }
    let other = Bench::new().await;
    let loaded = other.images.load(sent(builder.into_inner().unwrap()), silent()).await.unwrap();
    assert_eq!((loaded[0].id.as_str(), loaded[0].name.as_deref()), (x.id.as_str(), None));
    assert!(matches!(bench.images.save(&["nope".to_owned()]).await, Err(ImageError::NotFound(_))));
}

#[tokio::test]
async fn a_save_of_a_pulled_image_fetches_its_layers_and_breaks_off_when_they_are_gone() {
    let hub = Hub::open(Door::Open).await;
    hub.put_image("app", "latest", "amd64", "x");
    let bench = Bench::new().await;
    bench.pull(&hub.url("app")).await.unwrap();
    let archive = bytes(bench.images.save(&[hub.url("app:latest")]).await.unwrap()).await.unwrap();
    assert!(archive.windows(15).any(|window| window == b"base layer of x"));
    hub.shelf.lock().unwrap().blobs.clear();
    assert!(bytes(bench.images.save(&[hub.url("app")]).await.unwrap()).await.is_err());
}

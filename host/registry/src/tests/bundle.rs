use std::{
    collections::BTreeMap,
    io::Read,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use serde_json::Value;
use sockerless_ports::{
    backend::ImageSources,
    registry::{Bundle, ImageError, Registry},
};

use super::{
    Bench,
    hub::{Door, Hub},
    provide::{Counting, sources},
};
use crate::{Images, ImagesConfig};

fn bundle(content: &'static str) -> Bundle {
    Bundle {
        name: "tool".into(),
        programs: BTreeMap::from([("/bin/tool".to_owned(), Bytes::from_static(content.as_bytes()))]),
        entrypoint: vec!["/bin/tool".into()],
    }
}

#[tokio::test]
async fn an_image_of_the_hosts_own_is_pushed_once_and_another_daemon_finds_the_same() {
    let hub = Hub::open(Door::Open).await;
    let wanted = sources(&[], Some(hub.url("copies")));
    let bench = Bench::new().await;
    let reference = bench.images.publish(&bundle("one"), &wanted).await.unwrap();
    let digest = reference.strip_prefix(&hub.url("copies/tool@")).unwrap().to_owned();
    assert_eq!((hub.asked("POST").len(), hub.asked("PUT").len()), (2, 3), "layer, configuration, manifest");
    hub.asked("HEAD");
    let other = Bench::new().await;
    assert_eq!(other.images.publish(&bundle("one"), &wanted).await.unwrap(), reference);
    assert_eq!(hub.asked("HEAD"), [format!("HEAD /v2/copies/tool/manifests/{digest}")]);
    assert!(hub.asked("POST").is_empty() && hub.asked("PUT").is_empty());
    assert_ne!(other.images.publish(&bundle("two"), &wanted).await.unwrap(), reference);
    // It is no image of the user's.
    assert!(bench.images.list().await.is_empty());
    assert_eq!((bench.blobs(), bench.staged()), (0, 0));
}

#[tokio::test]
async fn it_has_its_programs_as_roots_and_for_everybody_and_can_be_pulled() {
    let hub = Hub::open(Door::Open).await;
    let bench = Bench::new().await;
    let reference =
        bench.images.publish(&bundle("one"), &sources(&[], Some(hub.url("copies")))).await.unwrap();
    let image = bench.pull(&reference).await.unwrap();
    assert_eq!((image.os.as_str(), image.architecture.as_str()), ("linux", "amd64"));
    assert_eq!(image.config.entrypoint, Some(vec!["/bin/tool".to_owned()]));
    let layer = {
        let shelf = hub.shelf.lock().unwrap();
        let key = ("copies/tool".to_owned(), image.manifest_digest.clone());
        let manifest: Value = serde_json::from_slice(&shelf.manifests[&key].1).unwrap();
        let digest = manifest["layers"][0]["digest"].as_str().unwrap();
        shelf.blobs[&("copies/tool".to_owned(), digest.to_owned())].clone()
    };
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&layer[..]));
    let mut entries = archive.entries().unwrap();
    let mut entry = entries.next().unwrap().unwrap();
    let header = entry.header();
    assert_eq!(
        (header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()),
        (0o755, 0, 0, 0)
    );
    assert_eq!(entry.path().unwrap().to_str(), Some("bin/tool"));
    let mut content = String::new();
    entry.read_to_string(&mut content).unwrap();
    assert_eq!(content, "one");
    assert!(entries.next().is_none());
}

#[tokio::test]
async fn a_push_that_breaks_is_tried_again_and_one_that_is_refused_names_the_repository() {
    let hub = Hub::open(Door::Token).await;
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
    let as_whom = |credential: Option<&str>| ImageSources {
        credential: credential.map(Into::into),
        ..sources(&[], Some(hub.url("copies")))
    };
    let refused = images.publish(&bundle("one"), &as_whom(None)).await.unwrap_err();
    let place = format!("the backend's repository http://{}/copies/tool", hub.host);
    assert!(matches!(&refused, ImageError::Denied(text) if text.contains(&place)), "{refused}");
    hub.shelf.lock().unwrap().fail_uploads = 2;
    images.publish(&bundle("one"), &as_whom(Some("known"))).await.unwrap();
    assert_eq!(logins.0.load(Ordering::Relaxed), 1);
    let nowhere = images.publish(&bundle("one"), &sources(&[], None)).await.unwrap_err();
    assert!(matches!(&nowhere, ImageError::Invalid(text) if text.contains("`repository`")), "{nowhere}");
}

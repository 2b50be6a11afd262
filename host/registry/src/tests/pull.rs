use serde_json::json;
use sockerless_ports::registry::{ImageError, ImageUse, Login, Registry, Removed};

use super::{
    Bench,
    hub::{Door, Hub},
    login,
};
use crate::{ImagesConfig, Mirror, digest, manifest};

#[tokio::test]
async fn a_pull_fetches_manifest_and_configuration_and_no_layer() {
    let hub = Hub::open(Door::Open).await;
    let digest = hub.put_image("a/b", "1", "amd64", "x");
    let bench = Bench::new().await;
    let name = hub.url("a/b:1");
    let (image, told) = bench.pull_as(&name, None, None).await.unwrap();
    assert_eq!(image.tags, std::slice::from_ref(&name));
    assert_eq!(image.digests, [format!("{}@{digest}", hub.url("a/b"))]);
    assert_eq!((image.manifest_digest, image.config.cmd), (digest.clone(), Some(vec!["sh".to_owned()])));
    assert_eq!(image.size, image.history.iter().map(|h| h.size).sum::<u64>());
    assert_eq!(
        told,
        [
            "1: Pulling from a/b".to_owned(),
            format!("Digest: {digest}"),
            format!("Status: Downloaded newer image for {name}")
        ]
    );
    assert_eq!(hub.asked("GET").len(), 2);

    let (_, told) = bench.pull_as(&name, None, None).await.unwrap();
    assert_eq!(told[2], format!("Status: Image is up to date for {name}"));
    let bench = bench.reopened().await;
    assert_eq!(bench.images.list().await[0].id, image.id);
}

#[tokio::test]
async fn an_image_is_found_by_name_digest_id_and_the_beginning_of_an_id() {
    let hub = Hub::open(Door::Open).await;
    let digest = hub.put_image("a", "latest", "amd64", "x");
    let bench = Bench::new().await;
    let id = bench.pull(&hub.url("a")).await.unwrap().id;
    for text in [
        hub.url("a"),
        hub.url("a:latest"),
        hub.url(&format!("a@{digest}")),
        id.clone(),
        id[7..].to_owned(),
        id[7..19].to_owned(),
        id[..12].to_owned(),
        digest,
    ] {
        assert_eq!(bench.images.find(&text).await.unwrap().id, id, "{text}");
    }
    for (text, words) in
        [("nope", "No such image: nope:latest"), ("sha256:00ff", "No such image: sha256:00ff")]
    {
        assert_eq!(bench.images.find(text).await, Err(ImageError::NotFound(words.into())));
    }
    assert!(matches!(bench.images.find("Nope").await, Err(ImageError::Invalid(_))));
    // Seventeen images: two ids begin with the same digit.
    for i in 0..16 {
        hub.put_image("many", &i.to_string(), "amd64", &format!("f{i}"));
        bench.pull(&hub.url(&format!("many:{i}"))).await.unwrap();
    }
    let ids: Vec<String> = bench.images.list().await.into_iter().map(|image| image.id).collect();
    let twice = ids.iter().find(|id| ids.iter().filter(|other| other[7..8] == id[7..8]).count() > 1).unwrap();
    assert!(bench.images.find(&twice[7..8]).await.unwrap_err().to_string().contains("ambiguous"));
}

#[tokio::test]
async fn a_list_gives_the_platform_that_is_asked_for() {
    let hub = Hub::open(Door::Open).await;
    let list = hub.put_list("multi", "latest", &["arm64", "amd64"]);
    let bench = Bench::new().await;
    let name = hub.url("multi");
    let image = bench.pull(&name).await.unwrap();
    assert_eq!(image.architecture, "amd64");
    assert_eq!(image.digests, [format!("{name}@{list}")]);
    assert_ne!(image.manifest_digest, list);
    let (arm, _) = bench.pull_as(&name, Some("linux/arm64"), None).await.unwrap();
    assert_eq!((arm.architecture.as_str(), arm.tags.len()), ("arm64", 1));
    assert_eq!(bench.images.find(&image.id).await.unwrap().tags, [""; 0], "the name has moved");
    let missing = bench.pull_as(&name, Some("linux/riscv64"), None).await.unwrap_err();
    assert_eq!(
        missing,
        ImageError::NotFound("no matching manifest for linux/riscv64 in the manifest list entries".into())
    );

    hub.put_image("single", "latest", "amd64", "s");
    let wrong = bench.pull_as(&hub.url("single"), Some("linux/arm64"), None).await.unwrap_err().to_string();
    assert!(
        wrong.contains("its platform (linux/amd64) does not match the specified platform (linux/arm64)"),
        "{wrong}"
    );
}

#[tokio::test]
async fn a_pull_by_digest_gives_no_tag_and_is_verified() {
    let hub = Hub::open(Door::Open).await;
    let digest = hub.put_image("a", "latest", "amd64", "x");
    let bench = Bench::new().await;
    let name = hub.url(&format!("a@{digest}"));
    let image = bench.pull(&name).await.unwrap();
    assert_eq!((image.tags.len(), image.digests), (0, vec![name.clone()]));

    let key = ("a".to_owned(), digest.clone());
    hub.shelf.lock().unwrap().manifests.get_mut(&key).unwrap().1 =
        json!({"schemaVersion": 2}).to_string().into();
    let error = bench.pull(&name).await.unwrap_err().to_string();
    assert_eq!(error, format!("manifest verification failed for digest {digest}"));
}

#[tokio::test]
async fn a_configuration_that_is_not_what_its_digest_says_is_refused() {
    let hub = Hub::open(Door::Open).await;
    hub.put_image("a", "latest", "amd64", "x");
    for bytes in hub.shelf.lock().unwrap().blobs.values_mut() {
        *bytes = "{}".into();
    }
    let bench = Bench::new().await;
    assert!(bench.pull(&hub.url("a")).await.unwrap_err().to_string().contains("verification failed"));
    assert!(bench.images.list().await.is_empty());
}

#[tokio::test]
async fn what_a_registry_refuses_is_told_in_dockerds_words() {
    let hub = Hub::open(Door::Open).await;
    hub.put_image("a", "latest", "amd64", "x");
    let bench = Bench::new().await;
    let name = hub.url("a:nope");
    assert_eq!(
        bench.pull(&name).await,
        Err(ImageError::NotFound(format!(
            "manifest for {name} not found: manifest unknown: manifest unknown"
        )))
    );
    let words =
        format!("repository {} not found: name unknown: repository name not known to registry", hub.url("b"));
    assert_eq!(bench.pull(&hub.url("b")).await, Err(ImageError::NotFound(words)));

    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    assert_eq!(
        bench.pull(&format!("{address}/a")).await,
        Err(ImageError::Unavailable(format!(
            "Get \"http://{address}/v2/\": dial tcp {address}: connect: connection refused"
        )))
    );
}

#[tokio::test]
async fn a_token_is_fetched_with_the_login_and_used_again() {
    let hub = Hub::open(Door::Token).await;
    hub.put_image("a", "latest", "amd64", "x");
    let bench = Bench::new().await;
    let name = hub.url("a");
    let denied = format!(
        "pull access denied for {name}, repository does not exist or may require 'docker login': \
        denied: requested access to the resource is denied"
    );
    assert_eq!(bench.pull(&name).await, Err(ImageError::Denied(denied)));
    let wrong = bench.pull_as(&name, None, Some(login("user", "wrong"))).await.unwrap_err();
    assert_eq!(wrong, ImageError::Denied("unauthorized: incorrect username or password".into()));
    hub.asked("GET");
    bench.pull_as(&name, None, Some(login("user", "secret"))).await.unwrap();
    bench.pull_as(&name, None, Some(login("user", "secret"))).await.unwrap();
    let tokens = hub.asked("GET").iter().filter(|line| line.contains("/token")).cloned().collect::<Vec<_>>();
    assert_eq!(tokens, ["GET /token?service=hub&scope=repository%3Aa%3Apull&account=user"]);
    let again = Login { identitytoken: "again".into(), ..Login::default() };
    bench.pull_as(&name, None, Some(again)).await.unwrap();
}

#[tokio::test]
async fn a_basic_login_is_sent_and_its_absence_named() {
    let hub = Hub::open(Door::Basic).await;
    hub.put_image("a", "latest", "amd64", "x");
    let bench = Bench::new().await;
    let none = bench.pull(&hub.url("a")).await.unwrap_err();
    assert_eq!(
        none,
        ImageError::Denied(format!(
            "Get \"http://{}/v2/a/manifests/latest\": no basic auth credentials",
            hub.host
        ))
    );
    bench.pull_as(&hub.url("a"), None, Some(login("user", "secret"))).await.unwrap();
    let wrong = bench.pull_as(&hub.url("a"), None, Some(login("user", "x"))).await.unwrap_err();
    assert_eq!(wrong, ImageError::Denied("unauthorized: authentication required".into()));
}

#[tokio::test]
async fn a_mirror_is_asked_first_and_the_name_stays() {
    let hub = Hub::open(Door::Open).await;
    hub.put_image("library/busybox", "latest", "amd64", "x");
    let mirror = Mirror { registry: "docker.io".into(), url: format!("http://{}/", hub.host) };
    let bench = Bench::with(ImagesConfig { mirrors: vec![mirror], ..ImagesConfig::default() }).await;
    let image = bench.pull("busybox").await.unwrap();
    assert_eq!(image.tags, ["busybox:latest"]);
    assert!(image.digests[0].starts_with("busybox@sha256:"));
}

#[tokio::test]
async fn an_oci_manifest_without_a_media_type_is_taken() {
    let hub = Hub::open(Door::Open).await;
    let config = hub.put_blob(
        "o",
        json!({"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": []}}).to_string(),
    );
    let document = json!({"schemaVersion": 2, "config": config, "layers": []});
    let digest = hub.put_manifest("o", "latest", manifest::OCI_MANIFEST, &document);
    let image = Bench::new().await.pull(&hub.url("o")).await.unwrap();
    assert_eq!(
        (image.manifest_digest, digest::of(document.to_string().as_bytes())),
        (digest.clone(), digest)
    );
}

#[tokio::test]
async fn names_are_given_and_taken_away_as_docker_does() {
    let hub = Hub::open(Door::Open).await;
    hub.put_image("a", "latest", "amd64", "x");
    let bench = Bench::new().await;
    let image = bench.pull(&hub.url("a")).await.unwrap();
    let images = &bench.images;
    assert_eq!(
        images.tag(&hub.url("a"), "mine:1").await.unwrap().tags,
        [hub.url("a:latest"), "mine:1".into()]
    );
    assert!(matches!(images.tag("nope", "x").await, Err(ImageError::NotFound(_))));
    assert!(matches!(images.tag(&image.id, "X").await, Err(ImageError::Invalid(_))));
    assert!(matches!(images.tag(&image.id, &format!("x@{}", image.id)).await, Err(ImageError::Invalid(_))));

    let user = |running| [ImageUse { image: image.id.clone(), container: "c".repeat(64), running }];
    let short = &image.id[7..19];
    let conflict = |text: String| Err(ImageError::Conflict(format!("conflict: {text}")));
    assert_eq!(
        images.remove(short, false, &[]).await,
        conflict(format!(
            "unable to delete {short} (must be forced) - image is referenced in multiple repositories"
        ))
    );
    assert_eq!(
        images.remove("mine:1", false, &user(true)).await.unwrap(),
        [Removed::Untagged("mine:1".into())]
    );
    for written in [hub.url("a"), hub.url("a:latest")] {
        assert_eq!(
            images.remove(&written, false, &user(false)).await,
            conflict(format!(
                "unable to remove repository reference \"{written}\" (must force) - container cccccccccccc is using its referenced image {short}"
            ))
        );
    }
    assert_eq!(
        images.remove(short, true, &user(true)).await,
        conflict(format!(
            "unable to delete {short} (cannot be forced) - image is being used by running container cccccccccccc"
        ))
    );
    assert_eq!(
        images.remove(short, false, &user(false)).await,
        conflict(format!(
            "unable to delete {short} (must be forced) - image is being used by stopped container cccccccccccc"
        ))
    );
    let expected = [
        Removed::Untagged(hub.url("a:latest")),
        Removed::Untagged(image.digests[0].clone()),
        Removed::Deleted(image.id.clone()),
    ];
    assert_eq!(images.remove(&hub.url("a"), true, &user(false)).await.unwrap(), expected);
    assert!(images.list().await.is_empty());
    assert!(bench.reopened().await.images.list().await.is_empty());
}

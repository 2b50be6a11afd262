use futures_util::{StreamExt, stream};
use serde_json::json;
use sockerless_ports::registry::{Archive, ImageError, ImportRequest, Registry};

use super::{
    Bench,
    archives::{config, docker, gzip, layer, oci, sent, tar},
    silent,
};
use crate::digest;

async fn load(bench: &Bench, archive: Vec<u8>) -> Result<Vec<(String, Option<String>)>, ImageError> {
    let loaded = bench.images.load(sent(archive), silent()).await?;
    Ok(loaded.into_iter().map(|l| (l.id, l.name)).collect())
}

#[tokio::test]
async fn docker_saves_archive_is_loaded_with_its_names_plain_and_compressed() {
    let bench = Bench::new().await;
    let (a, b) = (layer("a"), layer("b"));
    let archive = docker(&["x:1", "y"], &[&a, &b, &a]);
    let id = digest::of(&config(&[&a, &b, &a]));
    let expected = [(id.clone(), Some("x:1".to_owned())), (id.clone(), Some("y:latest".to_owned()))];
    assert_eq!(load(&bench, archive.clone()).await.unwrap(), expected);
    assert_eq!(load(&bench, gzip(&archive)).await.unwrap(), expected);
    assert_eq!((bench.blobs(), bench.staged()), (2, 0));
    let image = bench.images.find("x:1").await.unwrap();
    assert_eq!(
        (image.tags.len(), image.diff_ids.len(), &image.config.cmd),
        (2, 3, &Some(vec!["sh".to_owned()]))
    );

    // A second image shares a layer: it goes with the last that needs it.
    load(&bench, docker(&["z"], &[&b])).await.unwrap();
    bench.images.remove(&id, true, &[]).await.unwrap();
    assert_eq!(bench.blobs(), 1);
    let bench = bench.reopened().await;
    assert_eq!(bench.blobs(), 1);
    bench.images.remove("z", false, &[]).await.unwrap();
    assert_eq!(bench.blobs(), 0);
}

#[tokio::test]
async fn an_oci_layout_keeps_its_manifest_when_its_layers_are_compressed() {
    let bench = Bench::new().await;
    let plain = layer("a");
    let packed = gzip(&plain);
    let config = config(&[&plain]);
    let name = json!({"io.containerd.image.name": "docker.io/library/o:1", "org.opencontainers.image.ref.name": "1"});
    let from_packed = load(&bench, oci(&name, &config, &[&packed])).await.unwrap();
    assert_eq!(from_packed, [(digest::of(&config), Some("o:1".to_owned()))]);
    let kept = bench.images.find("o:1").await.unwrap().manifest_digest;
    let manifest = bench.images.catalog.find("o:1").unwrap().parsed().unwrap();
    assert_eq!(manifest.layers[0].digest, digest::of(&packed));

    load(&bench, oci(&json!({"org.opencontainers.image.ref.name": "1"}), &config, &[&plain])).await.unwrap();
    let again = bench.images.find("o:1").await.unwrap();
    assert_ne!(again.manifest_digest, kept, "the layer was compressed here");
    assert_eq!(again.tags, ["o:1"]);
    assert_eq!(
        bench.images.catalog.find("o:1").unwrap().parsed().unwrap().layers[0].media_type,
        crate::manifest::OCI_LAYER
    );
}

#[tokio::test]
async fn malformed_archives_are_refused_and_leave_nothing() {
    let bench = Bench::new().await;
    let a = layer("a");
    let manifest = |config: &str, layer: &str| {
        json!([{"Config": config, "RepoTags": [], "Layers": [layer]}]).to_string()
    };
    let good = config(&[&a]);
    let cut = docker(&["x"], &[&a])[..1500].to_vec();
    let wrong_diff = docker(&["x"], &[&a]).iter().map(|b| if *b == b'\n' { b'!' } else { *b }).collect();
    let bad_name = docker(&["Bad:Name"], &[&a]);
    for (archive, words) in [
        (vec![], "neither a manifest.json (docker save) nor an index.json"),
        (tar(&[("hello", b"world")]), "neither a manifest.json"),
        (b"this is no archive, but it is long enough to look at".repeat(30), "cannot be read"),
        (cut, "unexpected"),
        (wrong_diff, "invalid diffID"),
        (bad_name, "must be lowercase"),
        (tar(&[("manifest.json", b"{")]), "manifest.json cannot be read"),
        (tar(&[("manifest.json", manifest("c.json", "l").as_bytes())]), "c.json is missing"),
        (tar(&[("c.json", &good), ("manifest.json", manifest("c.json", "l").as_bytes())]), "l is missing"),
        (
            tar(&[
                ("l", &a),
                ("c.json", b"{\"rootfs\":{\"diff_ids\":[]}}"),
                ("manifest.json", manifest("c.json", "l").as_bytes()),
            ]),
            "layers length mismatch: expected 0, got 1",
        ),
        (
            tar(&[(
                "index.json",
                json!({"manifests": [{"digest": "sha256:../../etc/passwd"}]}).to_string().as_bytes(),
            )]),
            "unsupported digest",
        ),
        (b"BZh9 and so on".to_vec(), "bzip2 compression is not supported"),
        (b"\xfd7zXZ\0 and so on".to_vec(), "xz compression is not supported"),
    ] {
        match load(&bench, archive).await {
            Err(ImageError::Invalid(text)) => assert!(text.contains(words), "{text} / {words}"),
            other => panic!("{words}: {other:?}"),
        }
        assert_eq!((bench.blobs(), bench.staged(), bench.images.list().await.len()), (0, 0, 0), "{words}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_leaves_nothing_behind() {
    let bench = Bench::new().await;
    let whole = docker(&["x"], &[&layer("a")]);
    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let archive: Archive = stream::iter([Ok(whole[..2000].to_vec().into()), Err(broken)]).boxed();
    assert!(matches!(bench.images.load(archive, silent()).await, Err(ImageError::Invalid(_))));
    assert_eq!((bench.blobs(), bench.staged()), (0, 0));
}

#[tokio::test]
async fn a_file_system_is_imported_plain_and_compressed_with_its_changes() {
    let bench = Bench::new().await;
    let root = layer("etc/hello");
    for (archive, name) in [(root.clone(), "i:1"), (gzip(&root), "i:2"), (tar(&[]), "i:3")] {
        let request = ImportRequest {
            name: Some(name.into()),
            message: "from a test".into(),
            changes: vec!["CMD [\"/hello\"]".into(), "ENV A=b".into()],
            platform: Some("linux/arm64".into()),
        };
        let image = bench.images.import(sent(archive), request).await.unwrap();
        assert_eq!((image.tags, image.architecture.as_str()), (vec![name.to_owned()], "arm64"));
        assert_eq!(
            (image.config.cmd, image.config.env),
            (Some(vec!["/hello".to_owned()]), vec!["A=b".to_owned()])
        );
        assert_eq!(
            (image.history[0].comment.as_str(), image.comment.as_str()),
            ("from a test", "from a test")
        );
        if name != "i:3" {
            assert_eq!(image.diff_ids, [digest::of(&root)]);
        }
    }
    let unnamed = bench.images.import(sent(root), ImportRequest::default()).await.unwrap();
    assert!(unnamed.tags.is_empty());
    for (archive, changes, words) in [
        (b"no tar at all".repeat(100), vec![], "invalid tar header"),
        (tar(&[]), vec!["RUN x".to_owned()], "run is not a valid change command"),
        (b"BZh9 and so on".to_vec(), vec![], "bzip2 compression is not supported"),
    ] {
        let request = ImportRequest { changes, ..ImportRequest::default() };
        let error = bench.images.import(sent(archive), request).await.unwrap_err();
        assert!(matches!(&error, ImageError::Invalid(text) if text.contains(words)), "{error}");
    }
    assert_eq!(bench.staged(), 0);
}

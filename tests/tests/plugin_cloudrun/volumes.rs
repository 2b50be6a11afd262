//! Volumes: made, filled by others, mounted, measured, removed.

use sockerless_executor::MountSource as TaskSource;
use sockerless_ports::backend::{
    ErrorCode, JobVolume, Jobs, MountPoint, MountRequest, MountSource, Storage, Volume, VolumeSource,
};
use sockerless_tests::http::request;

use crate::cloud::{Cloud, OWNER, cloud, spec};

const BUCKET: &str = "sockerless-sim-project-us-central1";

fn volume(name: &str) -> Volume {
    Volume {
        name: name.into(),
        owner: OWNER.into(),
        labels: vec![("com.example.Key".into(), "Ü b".into())],
        options: vec![("metadata-cache-ttl-secs".into(), "0".into())],
    }
}

fn wish(name: &str, read_only: bool) -> MountRequest {
    MountRequest {
        source: MountSource::Volume(name.into()),
        owner: OWNER.into(),
        read_only,
        executable: false,
        renew: false,
    }
}

/// A call to Cloud Storage past the plugin, which waits for the answer elsewhere: this thread is the simulator's, too.
async fn call(cloud: &Cloud, method: &'static str, path: String, body: String) -> (u16, serde_json::Value) {
    let info = cloud.server.info();
    let (base, token) = (info.google.clone(), format!("Bearer {}", info.token));
    let call = move || request(&base, method, &path, &[("authorization", &token)], &body);
    tokio::task::spawn_blocking(call).await.unwrap()
}

async fn upload(cloud: &Cloud, name: &str, content: &str) {
    let name = name.replace('/', "%2F");
    let path = format!("/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={name}");
    assert_eq!(call(cloud, "POST", path, content.to_owned()).await.0, 200);
}

async fn objects(cloud: &Cloud) -> Vec<String> {
    let (_, page) = call(cloud, "GET", format!("/storage/v1/b/{BUCKET}/o"), String::new()).await;
    let items = page["items"].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_is_a_folder_of_a_bucket_that_is_made_with_the_first() {
    let cloud = cloud().await;
    cloud.plugin.create_volume(&volume("data")).await.unwrap();
    cloud.plugin.create_volume(&volume("data")).await.unwrap();
    assert_eq!(objects(&cloud).await, ["volumes/.sockerless/data.json", "volumes/data/"]);
    assert_eq!(cloud.plugin.volumes(OWNER, None).await.unwrap().items, [volume("data")]);
    assert_eq!(cloud.plugin.volumes("d1", None).await.unwrap().items, []);
    let theirs = Volume { owner: "d1".into(), ..volume("data") };
    let refused = cloud.plugin.create_volume(&theirs).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::AlreadyExists);
    // Blobs stay out of the volumes.
    assert_eq!(cloud.plugin.put("volumes/data/x", b"").await.unwrap_err().code, ErrorCode::InvalidArgument);
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_is_measured_and_removed_with_all_that_others_wrote() {
    let cloud = cloud().await;
    for name in ["data", "data2"] {
        cloud.plugin.create_volume(&volume(name)).await.unwrap();
    }
    for n in 0..205 {
        upload(&cloud, &format!("volumes/data/sub/{n}"), "12345").await;
    }
    upload(&cloud, "volumes/data2/kept", "x").await;
    let usage = cloud.plugin.usage(OWNER, "data").await.unwrap();
    assert_eq!((usage.bytes, usage.files), (1025, 205));
    cloud.plugin.remove_volume("d1", "data").await.unwrap();
    assert_eq!(
        cloud.plugin.usage(OWNER, "data").await.unwrap().files,
        205,
        "another daemon's removal is none"
    );
    cloud.plugin.remove_volume(OWNER, "data").await.unwrap();
    cloud.plugin.remove_volume(OWNER, "data").await.unwrap();
    assert_eq!(
        objects(&cloud).await,
        ["volumes/.sockerless/data2.json", "volumes/data2/", "volumes/data2/kept"]
    );
    assert_eq!(cloud.plugin.usage(OWNER, "data").await.unwrap_err().code, ErrorCode::NotFound);
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_mounts_a_volume_writable_and_read_only() {
    let cloud = cloud().await;
    cloud.plugin.create_volume(&volume("data")).await.unwrap();
    upload(&cloud, "volumes/data/sub/file", "x").await;
    let mount = cloud.plugin.mount(&wish("data", false)).await.unwrap();
    let point = |path: &str, sub_path: Option<&str>, read_only| MountPoint {
        volume: "data".into(),
        path: path.into(),
        sub_path: sub_path.map(str::to_owned),
        read_only,
    };
    let mut spec = spec("sl-a-1", &["exit", "0"]);
    spec.volumes = vec![JobVolume { name: "data".into(), source: VolumeSource::Storage(mount) }];
    spec.containers[0].mounts =
        vec![point("/data", None, false), point("/look", None, true), point("/sub", Some("sub"), false)];
    let handle = cloud.plugin.create(&spec).await.unwrap();
    let status = cloud.end_of(&handle).await;
    assert_eq!(status.exit_code, Some(0), "{status:?}");

    let task = cloud.stage.seen.lock().unwrap().remove(0);
    let look = |index: usize| {
        let mount = &task.mounts[index];
        let TaskSource::Served(volume) = &mount.source else { panic!("{:?}", mount.source) };
        (mount.path.clone(), mount.read_only, format!("{volume:?}"))
    };
    for (index, path, read_only, place) in [
        (0, "/data", false, "volumes/data/ "),
        (1, "/look", true, "volumes/data/ "),
        (2, "/sub", false, "volumes/data/sub/ "),
    ] {
        let (at, refuses, volume) = look(index);
        assert_eq!((at.as_str(), refuses), (path, read_only));
        assert!(volume.starts_with(&format!("gs://{BUCKET}/{place}")), "{volume}");
        assert!(volume.contains("metadata_ttl: 0ns") && volume.contains("file_mode: 511"), "{volume}");
    }
    let gone = cloud.plugin.mount(&wish("none", false)).await.unwrap_err();
    assert_eq!(gone.code, ErrorCode::NotFound);
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_option_that_cloud_run_has_not_is_refused_before_any_call() {
    let cloud = cloud().await;
    let odd = Volume { options: vec![("type".into(), "nfs".into())], ..volume("data") };
    let error = cloud.plugin.create_volume(&odd).await.unwrap_err();
    assert_eq!((error.code, error.provider_status), (ErrorCode::InvalidArgument, None));
    assert!(error.message.contains("file-mode"), "{error:?}");
    cloud.close().await;
}

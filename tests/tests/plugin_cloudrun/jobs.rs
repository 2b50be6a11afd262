//! From `create` to `delete`, and what goes wrong on the way.

use std::time::Duration;

use sockerless_executor::MountSource as TaskSource;
use sockerless_ports::backend::{
    Backend, ErrorCode, JobSpec, JobVolume, Jobs, MountPoint, MountRequest, MountSource, Phase, Storage,
    Verdict, VolumeSource, WorkloadKind,
};

use crate::cloud::{Faults, OWNER, PATIENCE, cloud, cloud_with, spec};

#[tokio::test]
async fn a_job_runs_to_its_exit_code_and_leaves_its_log() {
    let cloud = cloud().await;
    let handle =
        cloud.plugin.create(&spec("sl-a-1", &["exit", "7", "one", "err two", "three"])).await.unwrap();
    assert!(handle.started);

    let status = cloud.end_of(&handle).await;
    assert_eq!((status.phase, status.exit_code, status.term_signal), (Phase::Failed, Some(7), None));
    assert!(status.created.is_some() && status.started.is_some() && status.finished.is_some());
    assert_eq!(status.poll_after_ms, None);

    let mut lines = Vec::new();
    let mut cursor = None;
    let reading = async {
        while lines.len() < 3 {
            let page = cloud.plugin.logs(&status.handle, cursor.as_deref(), 1).await.unwrap();
            assert!(page.entries.len() <= 1 && page.poll_after_ms >= 1000);
            lines.extend(
                page.entries.into_iter().map(|entry| (entry.stderr, String::from_utf8(entry.line).unwrap())),
            );
            cursor = Some(page.next);
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the log arrives");
    lines.sort();
    assert_eq!(lines, [(false, "one".into()), (false, "three".into()), (true, "err two".into())]);

    // The deletion is an operation of the cloud's own, which nobody waits for.
    cloud.plugin.delete(&status.handle).await.unwrap();
    cloud.until(&status.handle, |status| status.phase == Phase::Absent).await;
    cloud.plugin.delete(&status.handle).await.unwrap();
    cloud.plugin.stop(&status.handle, 1).await.unwrap();
    cloud.close().await;
}

#[tokio::test]
async fn success_is_exit_code_0() {
    let cloud = cloud().await;
    let handle = cloud.plugin.create(&spec("sl-a-1", &["exit", "0"])).await.unwrap();
    let status = cloud.end_of(&handle).await;
    assert_eq!((status.phase, status.exit_code), (Phase::Succeeded, Some(0)));
    cloud.close().await;
}

#[tokio::test]
async fn the_same_spec_again_starts_nothing_and_another_is_refused() {
    let cloud = cloud().await;
    let spec = spec("sl-a-1", &["exit", "0"]);
    let first = cloud.plugin.create(&spec).await.unwrap();
    let later = JobSpec { expires: Some(4_000_000_060_000), ..spec.clone() };
    let second = cloud.plugin.create(&later).await.unwrap();
    assert_eq!((first.name, second.started), (second.name.clone(), true));
    assert_eq!(cloud.end_of(&second).await.phase, Phase::Succeeded);
    assert_eq!(cloud.stage.seen.lock().unwrap().len(), 1);

    let other = JobSpec { timeout_seconds: Some(60), ..spec };
    assert_eq!(cloud.plugin.create(&other).await.unwrap_err().code, ErrorCode::AlreadyExists);
    cloud.close().await;
}

#[tokio::test]
async fn a_job_that_was_only_created_is_started_once() {
    let cloud = cloud().await;
    let spec = JobSpec { start: false, ..spec("sl-a-1", &["exit", "3"]) };
    let idle = cloud.plugin.create(&spec).await.unwrap();
    let ready = async {
        loop {
            match cloud.plugin.start(&idle).await {
                Err(error) if error.code == ErrorCode::NotReady => {
                    tokio::time::sleep(Duration::from_millis(error.retry_after_ms.unwrap())).await;
                }
                answer => return answer.unwrap(),
            }
        }
    };
    let started = tokio::time::timeout(PATIENCE, ready).await.expect("the job becomes ready");
    assert!(started.started);
    // As after a crash: the handle of before the start.
    let again = cloud.plugin.start(&idle).await.unwrap();
    assert!(again.started);
    assert_eq!(cloud.end_of(&again).await.exit_code, Some(3));
    assert_eq!(cloud.end_of(&started).await.exit_code, Some(3));
    assert_eq!(cloud.stage.seen.lock().unwrap().len(), 1);
    cloud.close().await;
}

#[tokio::test]
async fn a_stopped_job_is_cancelled() {
    let cloud = cloud().await;
    let handle = cloud.plugin.create(&spec("sl-a-1", &["sleep"])).await.unwrap();
    let running = cloud.until(&handle, |status| status.phase == Phase::Running).await;
    let handle = cloud.plugin.stop(&running.handle, 10).await.unwrap();
    let status = cloud.end_of(&handle).await;
    assert_eq!((status.phase, status.exit_code), (Phase::Cancelled, None));
    cloud.plugin.stop(&status.handle, 10).await.unwrap();
    cloud.close().await;
}

#[tokio::test]
async fn a_listing_finds_the_owners_jobs_with_their_labels() {
    let cloud = cloud().await;
    let mine = spec("sl-mine-1", &["exit", "0"]);
    let theirs = JobSpec { owner: "d1".into(), ..spec("sl-theirs-1", &["exit", "0"]) };
    let handle = cloud.plugin.create(&mine).await.unwrap();
    cloud.plugin.create(&theirs).await.unwrap();
    cloud.end_of(&handle).await;

    let page = cloud.plugin.list(OWNER, None).await.unwrap();
    assert_eq!(page.next, None);
    let [(status, labels)] = page.items.as_slice() else { panic!("one job, not {:?}", page.items) };
    assert_eq!((status.handle.name.as_str(), labels), ("sl-mine-1", &mine.labels));
    assert_eq!(cloud.end_of(&status.handle).await.exit_code, Some(0));
    cloud.close().await;
}

#[tokio::test]
async fn many_jobs_are_asked_for_in_one_call() {
    let cloud = cloud().await;
    let mut handles = Vec::new();
    for index in 0..30 {
        let spec = spec(&format!("sl-n{index}-1"), &["exit", &index.to_string()]);
        handles.push(cloud.plugin.create(&spec).await.unwrap());
    }
    for handle in &handles {
        cloud.end_of(handle).await;
    }
    let all = cloud.plugin.status(&handles).await.unwrap();
    let codes: Vec<_> = all.iter().map(|status| status.exit_code).collect();
    assert_eq!(codes, (0..30).map(Some).collect::<Vec<_>>());
    cloud.close().await;
}

#[tokio::test]
async fn a_blob_becomes_an_executable_in_a_job() {
    let cloud = cloud().await;
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    cloud.plugin.put("agent/12ab/sockerless-agent", &content).await.unwrap();

    let info = cloud.plugin.stat("agent/12ab/sockerless-agent").await.unwrap().unwrap();
    assert_eq!(info.size, 3_000_000);
    assert_eq!(cloud.plugin.stat("agent/none").await.unwrap(), None);
    let part = cloud.plugin.get("agent/12ab/sockerless-agent", 2_999_990, 100).await.unwrap();
    assert_eq!(part, content[2_999_990..]);
    assert_eq!(cloud.plugin.get("agent/none", 0, 1).await.unwrap_err().code, ErrorCode::NotFound);
    let listed = cloud.plugin.blobs("agent", None).await.unwrap();
    assert_eq!(listed.items, [info]);

    let request = MountRequest {
        source: MountSource::Blobs("agent/12ab".into()),
        owner: OWNER.into(),
        read_only: true,
        executable: true,
        renew: false,
    };
    let mount = cloud.plugin.mount(&request).await.unwrap();
    let mut spec = spec("sl-a-1", &["exit", "0"]);
    spec.volumes = vec![JobVolume { name: "agent".into(), source: VolumeSource::Storage(mount) }];
    let point =
        MountPoint { volume: "agent".into(), path: "/sockerless".into(), sub_path: None, read_only: true };
    spec.containers[0].mounts = vec![point];
    let handle = cloud.plugin.create(&spec).await.unwrap();
    assert_eq!(cloud.end_of(&handle).await.exit_code, Some(0));

    let task = cloud.stage.seen.lock().unwrap().remove(0);
    let mount = &task.mounts[0];
    assert!(mount.read_only && mount.path == "/sockerless");
    let TaskSource::Directory(folder) = &mount.source else { panic!("a folder, not {:?}", mount.source) };
    let file = folder.join("sockerless-agent");
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 3_000_000);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o111, 0o111);
    }

    cloud.plugin.delete_blob("agent/12ab/sockerless-agent").await.unwrap();
    cloud.plugin.delete_blob("agent/12ab/sockerless-agent").await.unwrap();
    assert_eq!(cloud.plugin.stat("agent/12ab/sockerless-agent").await.unwrap(), None);
    cloud.close().await;
}

#[tokio::test]
async fn a_wrong_project_is_refused_in_googles_words() {
    let cloud = cloud_with(Faults { project: Some("no-such-project"), ..Faults::default() }).await;
    let error = cloud.plugin.create(&spec("sl-a-1", &["exit", "0"])).await.unwrap_err();
    assert!(matches!(error.code, ErrorCode::PermissionDenied | ErrorCode::NotFound), "{error:?}");
    assert!(error.provider_status.is_some() && error.message.contains("no-such-project"), "{error:?}");
    cloud.close().await;
}

#[tokio::test]
async fn an_expired_token_is_refused_in_googles_words() {
    let cloud = cloud_with(Faults { token: Some("ya29.expired"), ..Faults::default() }).await;
    let error = cloud.plugin.create(&spec("sl-a-1", &["exit", "0"])).await.unwrap_err();
    assert_eq!((error.code, error.provider_status), (ErrorCode::Unauthenticated, Some(401)));
    assert!(error.message.contains("invalid authentication credentials"), "{error:?}");
    assert!(!error.message.contains("ya29.expired"));
    cloud.close().await;
}

#[tokio::test]
async fn without_a_credential_nothing_leaves_the_host() {
    let cloud = cloud_with(Faults { no_credential: true, ..Faults::default() }).await;
    let error = cloud.plugin.create(&spec("sl-a-1", &["exit", "0"])).await.unwrap_err();
    assert_eq!(error.provider_status, None);
    assert!(error.message.contains("google"), "{error:?}");
    let checks = cloud.plugin.doctor().await.unwrap();
    let failed: Vec<_> =
        checks.iter().filter(|check| check.verdict == Verdict::Fail).map(|c| c.name.as_str()).collect();
    assert_eq!(failed, ["credentials"]);
    cloud.close().await;
}

#[tokio::test]
async fn a_cloud_that_is_down_is_unavailable() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = Some(format!("http://{gone}"));
    let cloud = cloud_with(Faults { run_endpoint: endpoint, ..Faults::default() }).await;
    let error = cloud.plugin.create(&spec("sl-a-1", &["exit", "0"])).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable, "{error:?}");
    cloud.close().await;
}

#[tokio::test]
async fn the_doctor_is_content() {
    let cloud = cloud().await;
    cloud.plugin.put("x", b"x").await.unwrap();
    for check in cloud.plugin.doctor().await.unwrap() {
        assert!(matches!(check.verdict, Verdict::Pass | Verdict::Skip), "{check:?}");
        assert!(!check.finding.is_empty());
    }
    cloud.close().await;
}

#[tokio::test]
async fn what_jobs_cannot_be_is_refused_before_any_call() {
    let cloud = cloud().await;
    let service = JobSpec { kind: WorkloadKind::Service, ..spec("sl-a-1", &[]) };
    let error = cloud.plugin.create(&service).await.unwrap_err();
    assert_eq!((error.code, error.provider_status), (ErrorCode::Unsupported, None));
    let sources = cloud.plugin.images().await.unwrap();
    assert_eq!(sources.platforms, ["linux/amd64"]);
    assert!(sources.direct.contains(&"docker.io".to_owned()));
    cloud.close().await;
}

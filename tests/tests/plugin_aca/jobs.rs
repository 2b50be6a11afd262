//! From `create` to `delete`.

use sockerless_ports::backend::{JobSpec, JobStatus, Jobs, Labels, Phase, WorkloadKind};

use crate::cloud::{Cloud, OWNER, PATIENCE, cloud, patiently, spec};

#[tokio::test]
async fn a_job_runs_to_its_exit_code_and_leaves_its_log() {
    let cloud = cloud().await;
    let spec = spec("sl-a-1", &["exit", "7", "one", "err two", "three"]);
    let created = patiently(async || cloud.plugin.create(&spec).await).await;
    assert!(!created.started && !cloud.plugin.create(&spec).await.unwrap().started);
    let handle = patiently(async || cloud.plugin.start(&created).await).await;
    // As after a crash: the handle of before the start.
    assert!(handle.started && cloud.plugin.start(&created).await.unwrap().started);
    let status = cloud.end_of(&handle).await;
    assert_eq!((status.phase, status.exit_code), (Phase::Failed, Some(7)));
    assert!(status.started.is_some() && status.finished >= status.started, "{status:?}");
    assert_eq!(cloud.stage.specs.lock().unwrap().len(), 1);

    let (mut lines, mut cursor) = (Vec::new(), None);
    let reading = async {
        while lines.len() < 3 {
            let page = cloud.plugin.logs(&status.handle, cursor.as_deref(), 1).await.unwrap();
            assert!(page.entries.len() <= 1, "{:?}", page.entries);
            lines.extend(page.entries.into_iter().map(|entry| String::from_utf8(entry.line).unwrap()));
            cursor = Some(page.next);
        }
        cloud.plugin.logs(&status.handle, cursor.as_deref(), 9).await.unwrap().entries
    };
    let rest = tokio::time::timeout(PATIENCE, reading).await.expect("the log arrives");
    assert_eq!((lines, rest), (vec!["one".to_owned(), "err two".into(), "three".into()], vec![]));

    patiently(async || cloud.plugin.delete(&status.handle).await).await;
    assert_eq!(all(&cloud).await, []);
    patiently(async || cloud.plugin.delete(&status.handle).await).await;
    cloud.plugin.stop(&status.handle, 1).await.unwrap();
    cloud.close().await;
}

#[tokio::test]
async fn a_stopped_job_is_cancelled() {
    let cloud = cloud().await;
    let handle = cloud.run(&spec("sl-a-1", &["sleep"])).await;
    let running = cloud.until(&handle, |status| status.phase == Phase::Running).await;
    let handle = cloud.plugin.stop(&running.handle, 10).await.unwrap();
    let status = cloud.end_of(&handle).await;
    assert_eq!(status.phase, Phase::Cancelled);
    cloud.plugin.stop(&status.handle, 10).await.unwrap();
    cloud.close().await;
}

/// All pages of the owner's listing.
async fn all(cloud: &Cloud) -> Vec<(JobStatus, Labels)> {
    let (mut listed, mut cursor) = (Vec::new(), None);
    loop {
        let page = cloud.plugin.list(OWNER, cursor.as_deref()).await.unwrap();
        listed.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return listed;
        }
    }
}

#[tokio::test]
async fn listings_have_the_owners_jobs_and_apps_with_their_labels() {
    let cloud = cloud().await;
    let job = spec("sl-job-1", &["exit", "0"]);
    let handle = cloud.run(&job).await;
    cloud.end_of(&handle).await;
    let theirs = JobSpec { owner: "d1".into(), ..spec("sl-theirs-1", &["exit", "0"]) };
    cloud.run(&theirs).await;
    let mut app = JobSpec { kind: WorkloadKind::Service, ..spec("sl-app-1", &["sleep"]) };
    app.containers[0].ports = vec![8080];
    let started = patiently(async || cloud.plugin.create(&app).await).await;
    assert!(started.started);
    cloud.until(&started, |status| status.phase == Phase::Running).await;

    let listed = all(&cloud).await;
    let found: Vec<_> = listed.iter().map(|(status, labels)| (status.handle.name.as_str(), labels)).collect();
    assert_eq!(found, [("sl-job-1", &job.labels), ("sl-app-1", &app.labels)]);
    patiently(async || cloud.plugin.delete(&started).await).await;
    assert_eq!(all(&cloud).await.len(), 1);
    cloud.close().await;
}

#[tokio::test]
async fn many_jobs_and_apps_are_asked_for_in_one_call() {
    let cloud = cloud().await;
    let mut handles = Vec::new();
    for index in 0..10 {
        handles.push(cloud.run(&spec(&format!("sl-n{index}-1"), &["exit", &index.to_string()])).await);
    }
    for handle in &handles {
        cloud.end_of(handle).await;
    }
    let service = JobSpec { kind: WorkloadKind::Service, ..spec("sl-app-1", &["sleep"]) };
    let app = patiently(async || cloud.plugin.create(&service).await).await;
    cloud.until(&app, |status| status.phase == Phase::Running).await;
    handles.insert(0, app);
    let told = cloud.plugin.status(&handles).await.unwrap();
    assert_eq!(told[0].phase, Phase::Running);
    let codes: Vec<_> = told[1..].iter().map(|status| status.exit_code).collect();
    assert_eq!(codes, (0..10).map(Some).collect::<Vec<_>>());
    cloud.close().await;
}

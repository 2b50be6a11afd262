//! The plugin against Azure as the simulator has it, without a daemon between: every call of the contract once, over HTTP.
//! Runs when `SOCKERLESS_AZURE_READY` names the ready file of a running `sockerless-simulators azure`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    rc::Rc,
    time::{Duration, Instant, SystemTime},
};

use aca::ContainerApps;
use sockerless_plugin_sdk::{
    CredentialInfo, Dns as _, ErrorCode, Host, Jobs as _, Level, Plugin, Request, Response, Result,
    Storage as _, Transport,
    dns::{AddressRecord, Zone},
    http::SendError,
    jobs::{Container, Handle, JobStatus, MountPoint, Phase, Spec, Volume, VolumeSource},
    plugin::Verdict,
    storage::{self, MountRequest, MountSource},
    testing,
};

/// A daemon that is nothing but its requests.
struct Plain {
    settings: BTreeMap<String, String>,
    ready: BTreeMap<String, String>,
}

impl Transport for Plain {
    fn send(&self, request: &Request) -> std::result::Result<Response, SendError> {
        let lost = |error: std::io::Error| SendError::Unreachable(error.to_string());
        let (authority, path) = request.url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut stream = TcpStream::connect(authority).map_err(lost)?;
        let body = request.body.clone().unwrap_or_default();
        let body = replace(&body, b"PLACEHOLDER", self.ready["storage_key"].as_bytes());
        let mut head = format!(
            "{} /{path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n",
            request.method.as_str()
        );
        for (name, value) in &request.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if request.credential.is_some() {
            head += &format!("authorization: Bearer {}\r\n", self.ready["token"]);
        }
        if request.body.is_some() || matches!(request.method.as_str(), "PUT" | "POST") {
            head += &format!("content-length: {}\r\n", body.len());
        }
        stream
            .write_all(format!("{head}\r\n").as_bytes())
            .and_then(|()| stream.write_all(&body))
            .map_err(lost)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map_err(lost)?;
        Ok(read(&answer))
    }
}

fn replace(text: &[u8], pattern: &[u8], by: &[u8]) -> Vec<u8> {
    match text.windows(pattern.len()).position(|window| window == pattern) {
        Some(at) => [&text[..at], by, &text[at + pattern.len()..]].concat(),
        None => text.to_vec(),
    }
}

fn read(answer: &[u8]) -> Response {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let mut body = answer[end..].to_vec();
    if chunked {
        let (mut whole, mut rest) = (Vec::new(), body.as_slice());
        while let Some(line) = rest.windows(2).position(|window| window == b"\r\n") {
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
            whole.extend_from_slice(&rest[line + 2..line + 2 + size]);
            rest = &rest[line + 4 + size..];
            if size == 0 {
                break;
            }
        }
        body = whole;
    }
    Response { status, headers, body }
}

impl Host for Plain {
    fn setting(&self, name: &str) -> Option<String> {
        self.settings.get(name).cloned()
    }

    fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        u64::try_from(now.as_millis()).unwrap()
    }

    fn log(&self, _level: Level, message: &str) {
        println!("{message}");
    }

    fn credential(&self, _name: &str) -> Result<CredentialInfo> {
        Ok(CredentialInfo { source: "the simulator's token".into(), principal: None })
    }

    fn placeholder(&self, _name: &str, scope: Option<&str>) -> Result<String> {
        assert!(scope.unwrap().contains("/storageAccounts/"));
        Ok("PLACEHOLDER".into())
    }
}

/// None without a simulator.
fn plugin() -> Option<ContainerApps> {
    let Ok(file) = std::env::var("SOCKERLESS_AZURE_READY") else {
        eprintln!("skipped: SOCKERLESS_AZURE_READY names no simulator's ready file");
        return None;
    };
    let ready: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let ready: BTreeMap<String, String> =
        ready.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect();
    let mut settings: BTreeMap<String, String> = ContainerApps::describe()
        .settings
        .into_iter()
        .filter_map(|setting| Some((setting.name, setting.default?)))
        .collect();
    for (name, value) in [
        ("subscription_id", ready["subscription"].clone()),
        ("resource_group", ready["resource_group"].clone()),
        ("environment", ready["environment"].clone()),
        ("location", ready["location"].clone()),
        ("storage_account", ready["storage_account"].clone()),
        ("log_analytics_workspace", ready["workspace"].clone()),
        ("storage_auth", "identity".into()),
        ("repository", format!("{}/containers", ready["registry"])),
        ("registry_identity", "system-environment".into()),
        ("arm_endpoint", ready["http"].clone()),
        ("files_endpoint", format!("{}/files/{}", ready["http"], ready["storage_account"])),
        ("logs_endpoint", ready["http"].clone()),
        ("dns_zone", "sockerless.internal".into()),
    ] {
        settings.insert(name.into(), value);
    }
    let host = Plain { settings, ready };
    operator(&host);
    Some(ContainerApps::new(Rc::new(host)).unwrap())
}

/// Makes the DNS zone and its link, as an operator does.
fn operator(host: &Plain) {
    let group = format!(
        "/subscriptions/{}/resourceGroups/{}",
        host.ready["subscription"], host.ready["resource_group"]
    );
    let zone = format!(
        "{}{group}/providers/Microsoft.Network/privateDnsZones/sockerless.internal",
        host.ready["http"]
    );
    let link = serde_json::json!({"location": "global", "properties": {
        "virtualNetwork": {"id": host.ready["network"]}, "registrationEnabled": false}});
    let puts = [
        (zone.clone(), serde_json::json!({"location": "global"})),
        (format!("{zone}/virtualNetworkLinks/sockerless"), link),
    ];
    for (url, body) in puts {
        let put = Request::put(format!("{url}?api-version=2024-06-01")).credential("azure-arm").json(&body);
        let begin = Instant::now();
        loop {
            let answer = host.send(&put).unwrap();
            let get = host.send(&Request::get(&put.url).credential("azure-arm")).unwrap();
            if answer.is_success()
                && get.is_success()
                && String::from_utf8_lossy(&get.body).contains("\"Succeeded\"")
            {
                break;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "{}: {}", answer.status, answer.quote());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn image() -> String {
    std::env::var("SOCKERLESS_AZURE_IMAGE").unwrap_or_else(|_| "docker.io/library/busybox:latest".into())
}

fn spec(name: &str, script: &str) -> Spec {
    let unique =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros() % 1_000_000_000;
    let command = ["/bin/sh", "-c", script].map(Into::into).into();
    let main =
        Container { image: image(), command, env: vec![("A".into(), "1".into())], ..testing::container() };
    Spec {
        name: format!("{name}-{unique}"),
        owner: "trial".into(),
        containers: vec![main],
        labels: vec![("sockerless-name".into(), "größe mit Leerzeichen".into())],
        timeout_seconds: Some(300),
        ..testing::spec()
    }
}

/// Repeats what the host repeats.
fn patiently<T>(mut call: impl FnMut() -> Result<T>) -> T {
    let begin = Instant::now();
    loop {
        match call() {
            Ok(done) => return done,
            Err(error) if error.code == ErrorCode::NotReady && begin.elapsed() < Duration::from_secs(60) => {
                std::thread::sleep(Duration::from_millis(error.retry_after_ms.unwrap_or(100).min(1000)));
            }
            Err(error) => panic!("{:?}: {}", error.code, error.message),
        }
    }
}

fn until(plugin: &ContainerApps, handle: &mut Handle, done: impl Fn(&JobStatus) -> bool) -> JobStatus {
    let begin = Instant::now();
    loop {
        let status = patiently(|| plugin.status(vec![handle.clone()])).remove(0);
        if done(&status) {
            return status;
        }
        assert!(begin.elapsed() < Duration::from_secs(90), "{status:?}");
        *handle = status.handle;
        std::thread::sleep(Duration::from_millis(u64::from(status.poll_after_ms.unwrap_or(250)).min(1000)));
    }
}

fn ended(status: &JobStatus) -> bool {
    matches!(status.phase, Phase::Succeeded | Phase::Failed | Phase::Cancelled | Phase::Absent)
}

#[test]
fn the_account_is_as_the_doctor_wants_it() {
    let Some(plugin) = plugin() else { return };
    for check in plugin.doctor() {
        println!("{check:?}");
        assert_ne!(check.verdict, Verdict::Fail, "{check:?}");
    }
}

#[test]
fn a_container_runs_and_its_exit_code_and_output_are_known() {
    let Some(plugin) = plugin() else { return };
    let spec = spec("sl-trial-run", "echo out; echo err >&2; exit 7");
    let created = patiently(|| plugin.create(spec.clone()));
    assert!(!patiently(|| plugin.create(spec.clone())).started);
    let mut handle = patiently(|| plugin.start(created.clone()));
    assert!(handle.started && patiently(|| plugin.start(created.clone())).started);
    let status = until(&plugin, &mut handle, ended);
    assert_eq!((status.phase, status.exit_code), (Phase::Failed, Some(7)), "{status:?}");
    assert!(status.started.is_some() && status.finished >= status.started, "{status:?}");
    let mut listed = Vec::new();
    let mut cursor = None;
    loop {
        let page = plugin.list("trial".into(), cursor).unwrap();
        listed.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let found = listed.iter().find(|(status, _)| status.handle.name == spec.name).expect("it is listed");
    assert_eq!(found.1, spec.labels);
    let begin = Instant::now();
    let lines = loop {
        let page = plugin.logs(handle.clone(), None, 100).unwrap();
        if page.entries.len() >= 2 {
            break page.entries;
        }
        assert!(begin.elapsed() < Duration::from_secs(90), "the log has {:?}", page.entries);
        std::thread::sleep(Duration::from_millis(500));
    };
    let texts: Vec<String> =
        lines.iter().map(|entry| String::from_utf8_lossy(&entry.line).into_owned()).collect();
    assert!(texts.contains(&"out".to_owned()) && texts.contains(&"err".to_owned()), "{texts:?}");
    patiently(|| plugin.delete(handle.clone()));
    patiently(|| plugin.delete(handle.clone()));
    until(&plugin, &mut handle, |status| status.phase == Phase::Absent);
}

#[test]
fn a_container_that_runs_is_stopped() {
    let Some(plugin) = plugin() else { return };
    let created =
        patiently(|| plugin.create(spec("sl-trial-stop", "trap 'exit 3' TERM; while :; do sleep 0.1; done")));
    let mut handle = patiently(|| plugin.start(created.clone()));
    until(&plugin, &mut handle, |status| status.phase == Phase::Running);
    patiently(|| plugin.stop(handle.clone(), 10));
    let status = until(&plugin, &mut handle, ended);
    assert_eq!(status.phase, Phase::Cancelled, "{status:?}");
    patiently(|| plugin.stop(handle.clone(), 10));
    patiently(|| plugin.delete(handle.clone()));
}

#[test]
fn what_one_container_writes_to_a_volume_another_reads_and_blobs_are_executable() {
    let Some(plugin) = plugin() else { return };
    let program = b"#!/bin/sh\ncat /data/f\n".to_vec();
    plugin.put("agent/trial/program".into(), program.clone()).unwrap();
    plugin.put("agent/trial/program".into(), program.clone()).unwrap();
    assert_eq!(plugin.stat("agent/trial/program".into()).unwrap().unwrap().size, program.len() as u64);
    assert_eq!(plugin.get("agent/trial/program".into(), 2, 7).unwrap(), b"/bin/sh");
    assert_eq!(plugin.blobs("agent/trial".into(), None).unwrap().items[0].path, "agent/trial/program");
    let volume =
        storage::Volume { name: "Trial_1".into(), owner: "trial".into(), labels: vec![], options: vec![] };
    plugin.create_volume(volume.clone()).unwrap();
    assert!(plugin.volumes("trial".into(), None).unwrap().items.contains(&volume));
    let mount = |source, read_only| {
        plugin
            .mount(MountRequest { source, owner: "trial".into(), read_only, executable: true, renew: false })
            .unwrap()
    };
    let mut handles = Vec::new();
    for (name, script, read_only, expected) in [
        ("sl-trial-w", "echo kept > /data/f && mkdir /data/d", false, 0),
        (
            "sl-trial-r",
            "/agent/program | grep kept && ! touch /data/g && ! touch /agent/x && exit 5",
            true,
            5,
        ),
    ] {
        let mut spec = spec(name, script);
        let volume = |name: &str, source| Volume { name: name.into(), source: VolumeSource::Storage(source) };
        spec.volumes = vec![
            volume("data", mount(MountSource::Volume("Trial_1".into()), read_only)),
            volume("agent", mount(MountSource::Blobs("agent/trial".into()), true)),
        ];
        let point = |volume: &str, path: &str, read_only| MountPoint {
            volume: volume.into(),
            path: path.into(),
            sub_path: None,
            read_only,
        };
        spec.containers[0].mounts = vec![point("data", "/data", read_only), point("agent", "/agent", true)];
        let created = patiently(|| plugin.create(spec.clone()));
        let mut handle = patiently(|| plugin.start(created.clone()));
        let status = until(&plugin, &mut handle, ended);
        assert_eq!(status.exit_code, Some(expected), "{name}: {status:?}");
        handles.push(handle);
    }
    let usage = plugin.usage("trial".into(), "Trial_1".into()).unwrap();
    assert_eq!((usage.bytes, usage.files), (5, 1));
    for handle in handles {
        patiently(|| plugin.delete(handle.clone()));
    }
    patiently(|| plugin.remove_volume("trial".into(), "Trial_1".into()));
    patiently(|| plugin.remove_volume("trial".into(), "Trial_1".into()));
    assert!(!plugin.volumes("trial".into(), None).unwrap().items.contains(&volume));
    plugin.delete_blob("agent/trial/program".into()).unwrap();
    assert_eq!(plugin.stat("agent/trial/program".into()).unwrap(), None);
}

#[test]
fn a_network_has_its_records() {
    let Some(plugin) = plugin() else { return };
    let zone = Zone {
        name: "sockerless-net-0123456789ab".into(),
        domain: "0123456789ab.sockerless.internal.".into(),
        owner: "trial".into(),
        labels: vec![("name".into(), "n".into())],
    };
    plugin.ensure_zone(zone.clone()).unwrap();
    plugin.ensure_zone(zone.clone()).unwrap();
    let record =
        |address: &str| AddressRecord { name: "db".into(), addresses: vec![address.into()], ttl_seconds: 10 };
    plugin.upsert(zone.name.clone(), record("172.18.0.2")).unwrap();
    plugin.upsert(zone.name.clone(), record("172.18.0.3")).unwrap();
    assert_eq!(plugin.records(zone.name.clone()).unwrap(), [record("172.18.0.3")]);
    assert!(plugin.zones("trial".into(), None).unwrap().items.contains(&zone));
    plugin.remove_record(zone.name.clone(), "db".into()).unwrap();
    plugin.upsert(zone.name.clone(), record("172.18.0.4")).unwrap();
    plugin.delete_zone(zone.name.clone()).unwrap();
    plugin.delete_zone(zone.name).unwrap();
}

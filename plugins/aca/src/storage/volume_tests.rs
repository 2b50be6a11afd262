use std::{cell::RefCell, collections::BTreeMap};

use serde_json::Value;
use sockerless_plugin_sdk::testing::{FakeHost, response};

use super::*;
use crate::testing::{GROUP, asked, host, on, refused, with};

/// Resource Manager that keeps what it is given, and lists the names of shares.
fn arm() -> FakeHost {
    let all: RefCell<BTreeMap<String, Value>> = RefCell::default();
    host().answering(move |request| {
        let path = request.url.split('?').next().unwrap().to_owned();
        let mut all = all.borrow_mut();
        match request.method {
            Method::Put => {
                all.insert(path, crate::testing::body(request));
                response(201, "{}")
            }
            Method::Delete => all.remove(&path).map_or_else(|| response(204, ""), |_| response(200, "")),
            _ if path.ends_with("/shares") => {
                let asked = request.url.split_once('?').unwrap().1;
                assert!(asked.contains("%24filter=sl-") && !asked.contains("expand"), "{asked}");
                let shares = all.keys().filter_map(|key| key.split_once("/shares/"));
                let shares = shares.map(|(_, name)| json!({"name": name, "properties": {"shareQuota": 1}}));
                response(200, json!({"value": shares.collect::<Vec<_>>()}))
            }
            _ => all.get(&path).map_or_else(|| refused(404, "NotFound"), |known| response(200, known)),
        }
    })
}

fn volume(name: &str) -> Volume {
    Volume {
        name: name.into(),
        owner: "d0".into(),
        labels: vec![("größe".into(), "1 %".into())],
        options: vec![("uid".into(), "7".into())],
    }
}

fn mounted(plugin: &crate::ContainerApps, name: &str, read_only: bool) -> Result<Mount> {
    mounted_after(plugin, name, read_only, false)
}

fn mounted_after(plugin: &crate::ContainerApps, name: &str, read_only: bool, failure: bool) -> Result<Mount> {
    let source = MountSource::Volume(name.into());
    let request = MountRequest { source, owner: "d0".into(), read_only, executable: true, renew: failure };
    let prepared = plugin.mount(request)?;
    Ok(serde_json::from_str(&prepared.state).unwrap())
}

#[test]
fn a_volume_is_a_share_with_what_its_owner_said_of_it() {
    let (plugin, host) = on(arm());
    plugin.create_volume(volume("My_Data.1")).unwrap();
    plugin.create_volume(volume("My_Data.1")).unwrap();
    let path = asked(&host).remove(0);
    let share = path.rsplit('/').next().unwrap().to_owned();
    assert!(crate::settings::is_share(&share) && share.starts_with("sl-my-data-1-"), "{share}");
    let first = crate::testing::body(&host.requests()[0]);
    let metadata = first["properties"]["metadata"].as_object().unwrap();
    assert!(metadata.values().all(|value| value.as_str().unwrap().is_ascii()));
    assert_eq!(plugin.volumes("d0".into(), None).unwrap().items, [volume("My_Data.1")]);
    assert!(plugin.volumes("d1".into(), None).unwrap().items.is_empty());
}

#[test]
fn a_mount_tells_the_environment_of_the_share_for_its_mode() {
    let (plugin, host) = on(arm());
    plugin.create_volume(volume("data")).unwrap();
    let writable = mounted(&plugin, "data", false).unwrap();
    assert_eq!(writable.options, "dir_mode=0777,file_mode=0777,mfsymlinks,nobrl,uid=7");
    assert!(writable.read_only.is_empty() && writable.folder.is_empty());
    let fixed = mounted(&plugin, "data", true).unwrap();
    assert!(fixed.read_write.is_empty() && fixed.read_only != writable.read_write);
    let put =
        asked(&host).into_iter().find(|call| call.contains("/storages/") && call.starts_with("PUT")).unwrap();
    assert!(put.ends_with(&writable.read_write), "{put}");
    assert_eq!(mounted(&plugin, "other", false).unwrap_err().code, ErrorCode::NotFound);
}

#[test]
fn the_environment_gets_the_key_anew_after_a_start_that_failed() {
    let (plugin, host) = on(arm());
    plugin.create_volume(volume("data")).unwrap();
    let told = || {
        let calls = asked(&host);
        calls.iter().filter(|call| call.starts_with("PUT") && call.contains("/storages/")).count()
    };
    let first = mounted(&plugin, "data", false).unwrap();
    assert_eq!((mounted(&plugin, "data", false).unwrap(), told()), (first.clone(), 1));
    assert_eq!((mounted_after(&plugin, "data", false, true).unwrap(), told()), (first, 2));
}

#[test]
fn a_volume_goes_with_what_the_environment_knows_of_it() {
    let (plugin, host) = on(arm());
    plugin.create_volume(volume("data")).unwrap();
    mounted(&plugin, "data", false).unwrap();
    plugin.remove_volume("d0".into(), "data".into()).unwrap();
    plugin.remove_volume("d0".into(), "data".into()).unwrap();
    assert!(plugin.volumes("d0".into(), None).unwrap().items.is_empty());
    let calls = asked(&host);
    assert_eq!(
        calls.iter().filter(|call| call.starts_with("DELETE") && call.contains("/storages/")).count(),
        4
    );
    assert!(calls.iter().all(|call| !call.contains(GROUP)));
}

#[test]
fn a_key_in_a_vault_is_named_and_not_sent() {
    let secret = "https://v.vault.azure.net/secrets/key";
    let (plugin, host) = on(arm().setting("storage_key_secret", secret));
    plugin.create_volume(volume("data")).unwrap();
    mounted(&plugin, "data", false).unwrap();
    let put = host.requests().into_iter().rfind(|request| request.method == Method::Put).unwrap();
    let file = &crate::testing::body(&put)["properties"]["azureFile"];
    assert_eq!(file["accountKeyVaultProperties"], json!({"identity": "system", "keyVaultUrl": secret}));
    assert!(file.get("accountKey").is_none());
}

#[test]
fn in_a_share_of_the_operators_a_volume_is_a_folder_with_metadata() {
    let kept: RefCell<Vec<(String, String)>> = RefCell::default();
    let host = host().setting("volume_share", "shared").answering(move |request| {
        if request.url.contains("management.azure.com") {
            return if request.method == Method::Get {
                refused(404, "NotFound")
            } else {
                response(200, "{}")
            };
        }
        let path = request.url.split('?').next().unwrap();
        assert!(path.starts_with("https://acc.file.core.windows.net/shared"), "{path}");
        let listing =
            |inside: &str| response(200, format!("<R><Entries>{inside}</Entries><NextMarker/></R>"));
        let mut kept = kept.borrow_mut();
        match request.method {
            Method::Put => {
                *kept = request
                    .headers
                    .iter()
                    .filter(|(name, _)| name.starts_with("x-ms-meta-"))
                    .cloned()
                    .collect();
                response(201, "")
            }
            Method::Delete => {
                kept.clear();
                response(202, "")
            }
            _ if request.url.contains("comp=list") && path.ends_with("/shared") => listing(
                "<Directory><Name>sl-data-x</Name></Directory><Directory><Name>mine</Name></Directory>",
            ),
            _ if request.url.contains("comp=list") => listing(
                "<File><Name>f</Name><Properties><Content-Length>5</Content-Length></Properties></File>",
            ),
            _ => kept.iter().fold(response(200, ""), |answer, (name, value)| with(answer, name, value)),
        }
    });
    let (plugin, host) = on(host);
    plugin.create_volume(volume("data")).unwrap();
    assert_eq!(plugin.volumes("d0".into(), None).unwrap().items, [volume("data")]);
    let mount = mounted(&plugin, "data", false).unwrap();
    assert!(mount.folder.starts_with("sl-data-"), "{}", mount.folder);
    assert_eq!(plugin.usage("d0".into(), "data".into()).unwrap(), VolumeUsage { bytes: 5, files: 1 });
    plugin.remove_volume("d0".into(), "data".into()).unwrap();
    let deleted: Vec<_> = asked(&host).into_iter().filter(|call| call.starts_with("DELETE")).collect();
    assert_eq!(deleted.len(), 2, "{deleted:?}");
    assert!(deleted[0].ends_with("/f") && deleted[1].starts_with("DELETE shared/sl-data-"));
}

#[test]
fn what_cannot_be_a_volume_is_refused() {
    let (plugin, host) = on(arm());
    for name in ["", ".hidden", "a/b", "ü"] {
        assert_eq!(plugin.create_volume(volume(name)).unwrap_err().code, ErrorCode::InvalidArgument);
    }
    let odd = Volume { options: vec![("type".into(), "nfs".into())], ..volume("data") };
    assert_eq!(plugin.create_volume(odd).unwrap_err().code, ErrorCode::InvalidArgument);
    assert_eq!(plugin.usage("d0".into(), "none".into()).unwrap_err().code, ErrorCode::NotFound);
    assert!(host.requests().iter().all(|request| request.method == Method::Get));
}

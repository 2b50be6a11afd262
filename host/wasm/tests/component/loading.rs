//! Which components are taken, and what is said about the others.

use std::os::unix::fs::PermissionsExt as _;

use sockerless_ports::backend::ErrorCode;
use sockerless_wasm::{Limits, PluginOptions};

use crate::fixture::{Fixture, command, host, marked, options, patched, probe};

#[tokio::test]
async fn an_unknown_version_of_the_contract_is_named_beside_the_supported_ones() {
    let newer = patched("@0.1.0", "@0.9.0");
    let error = Fixture::new().host.load("probe", newer, options(&[])).await.err().unwrap();
    assert_eq!(error.code, ErrorCode::InvalidArgument);
    assert!(error.message.contains("\"0.9.0\"") && error.message.contains("0.1.x"), "{error}");
}

#[tokio::test]
async fn a_component_without_an_export_of_the_world_is_told_which() {
    let lacking = patched("sockerless:backend/dns@", "sockerless:backend/dnx@");
    let error = Fixture::new().host.load("probe", lacking, options(&[])).await.err().unwrap();
    assert!(error.message.contains("sockerless:backend/dns@0.1.0"), "{error}");
}

#[tokio::test]
async fn bytes_that_are_no_component_are_refused() {
    let fixture = Fixture::new();
    let half = probe()[..1000].to_vec();
    for bytes in [Vec::new(), b"MZ".to_vec(), b"\0asm\x01\0\0\0".to_vec(), half] {
        let error = fixture.host.load("probe", bytes, options(&[])).await.err().unwrap();
        assert!(error.message.contains("it is no WebAssembly component"), "{error}");
    }
}

#[tokio::test]
async fn a_component_that_is_too_large_is_refused_before_it_is_compiled() {
    let limits = Limits { component_bytes: 1000, ..Limits::default() };
    let error = Fixture::with_limits(limits).load(&[]).await.err().unwrap();
    assert!(error.message.contains("the limit is 1000"), "{error}");
}

#[tokio::test]
async fn a_component_that_traps_when_asked_who_it_is_is_refused() {
    let error = Fixture::new().host.load("probe", marked("trap"), options(&[])).await.err().unwrap();
    assert!(error.message.contains("plugin.describe: the plugin crashed"), "{error}");
}

#[tokio::test]
async fn a_wrong_setting_reaches_the_user_in_the_plugins_words() {
    let error = Fixture::new().load(&[("colour", "infrared")]).await.err().unwrap();
    assert_eq!(error.code, ErrorCode::InvalidArgument);
    assert_eq!(
        error.message,
        "plugin probe: settings: colour: infrared cannot be seen; choose a colour between red and violet"
    );
}

#[tokio::test]
async fn settings_come_from_the_file_the_environment_and_the_manifest() {
    let fixture = Fixture::new();
    let mut given = PluginOptions::default();
    given.environment.insert("SOCKERLESS_PROBE_ENDPOINT".to_owned(), "https://a.test".to_owned());
    let plugin = fixture.host.load("probe", probe(), given).await.unwrap();
    assert_eq!(command(&plugin, "setting endpoint").await.unwrap(), "https://a.test");
    assert_eq!(command(&plugin, "setting colour").await.unwrap(), "blue");
}

#[tokio::test]
async fn a_component_describes_itself_without_settings() {
    let manifest = Fixture::new().host.describe("probe", probe()).await.unwrap();
    assert_eq!(manifest.settings.len(), 2);
    assert_eq!(manifest.http[0].host, "setting:endpoint");
}

#[tokio::test]
async fn compiled_code_is_cached_where_nobody_else_can_write() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("compiled");
    host(&folder, Limits::default()).load("probe", probe(), options(&[])).await.unwrap();
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(folder.read_dir().unwrap().count() > 0);
    host(&folder, Limits::default()).load("probe", probe(), options(&[])).await.unwrap();
}

//! Which of command line, file and default holds.

use super::*;
use crate::config::file::Consistency;

fn from_text(text: &str, args: ServeArgs) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, text).unwrap();
    Config::serve(ServeArgs { common: CommonArgs { config: Some(path), ..args.common }, ..args })
}

#[test]
fn the_command_line_wins_over_the_file() {
    let args = ServeArgs { socket: Some("/a".into()), ..ServeArgs::default() };
    let config = from_text("socket = '/b'\nstate = '/s'", args).unwrap();
    assert_eq!(config.socket, PathBuf::from("/a"));
    assert_eq!(config.state, PathBuf::from("/s"));
    assert_eq!(config.backend, DEFAULT_BACKEND);
}

#[test]
fn a_misspelt_key_is_refused_with_its_line() {
    let error = from_text("sockett = '/b'", ServeArgs::default()).unwrap_err().to_string();
    assert!(error.contains("line 1") && error.contains("sockett"), "{error}");
}

#[test]
fn the_pool_of_networks_is_a_subnet() {
    let config = from_text("[networks]\npool = '10.9.0.0/16'\nzones = false", ServeArgs::default()).unwrap();
    assert_eq!(config.file.networks.pool.unwrap().to_string(), "10.9.0.0/16");
    assert_eq!(config.file.networks.zones, Some(false));
    let error = from_text("[networks]\npool = '10.9.0.1/16'", ServeArgs::default()).unwrap_err().to_string();
    assert!(error.contains("it should be 10.9.0.0/16"), "{error}");
}

#[test]
fn what_containers_reach_of_this_machine_is_asked_for() {
    let config = from_text("", ServeArgs::default()).unwrap();
    assert_eq!((config.docker_socket, config.host_gateway), (DockerSocket::Serve, None));
    let text = "[containers]\ndocker_socket = 'refuse'\n[networks]\nhost_gateway = '127.0.0.1'";
    let config = from_text(text, ServeArgs::default()).unwrap();
    assert_eq!(config.docker_socket, DockerSocket::Refuse);
    assert_eq!(config.host_gateway, Some("127.0.0.1".parse().unwrap()));
    let args = ServeArgs {
        docker_socket: Some(DockerSocket::Serve),
        host_gateway: Some("10.0.0.1".parse().unwrap()),
        ..ServeArgs::default()
    };
    let config = from_text(text, args).unwrap();
    assert_eq!(config.docker_socket, DockerSocket::Serve);
    assert_eq!(config.host_gateway, Some("10.0.0.1".parse().unwrap()));
}

#[test]
fn volumes_may_be_synced_unless_they_say_otherwise() {
    let consistency = |text: &str| from_text(text, ServeArgs::default()).unwrap().file.volumes.consistency;
    assert_eq!(consistency(""), Consistency::Cached);
    assert_eq!(consistency("[volumes]\nconsistency = 'synced'"), Consistency::Synced);
    assert!(from_text("[volumes]\nconsistency = 'quick'", ServeArgs::default()).is_err());
}

#[test]
fn bind_mounts_may_be_kept_to_some_folders_and_to_a_size() {
    let options = |text: &str| from_text(text, ServeArgs::default()).unwrap().file.binds.options();
    assert_eq!(options(""), sockerless_engine::BindOptions::default());
    let given = options("[binds]\nallow = ['/home', '/srv']\nsize_limit = 5\nignore = '.dockerignore'");
    assert_eq!(given.allow, [PathBuf::from("/home"), PathBuf::from("/srv")]);
    assert_eq!((given.size_limit, given.ignore.as_str()), (5, ".dockerignore"));
}

#[test]
fn linger_is_a_duration() {
    let linger = |text: &str| from_text(text, ServeArgs::default()).unwrap().linger();
    assert!(matches!(linger("linger = '1h30m'"), Ok(Some(time)) if time == Duration::from_secs(5400)));
    assert!(matches!(linger("linger = '0'"), Ok(Some(Duration::ZERO))));
    assert!(matches!(linger(""), Ok(None)));
    assert!(linger("linger = 'soon'").unwrap_err().to_string().contains("not \"soon\""));
}

#[test]
fn containers_get_a_log_driver_and_a_longest_run_of_the_operators() {
    let config = |text: &str| from_text(text, ServeArgs::default());
    let given = config("[containers]\nlog_driver = 'local'\ntimeout = '2h'\n").unwrap();
    assert_eq!(given.file.containers.log_driver.to_string(), "local");
    assert!(matches!(given.timeout(), Ok(Some(time)) if time == Duration::from_secs(7200)));
    let unsaid = config("").unwrap();
    assert_eq!(unsaid.file.containers.log_driver.to_string(), "json-file");
    assert!(matches!(unsaid.timeout(), Ok(None)));
    assert!(config("[containers]\nlog_driver = 'syslog'\n").is_err());
    let wrong = config("[containers]\ntimeout = 'long'\n").unwrap().timeout().unwrap_err().to_string();
    assert!(wrong.starts_with("containers.timeout: "), "{wrong}");
}

#[test]
fn settings_of_a_backend_become_texts_and_its_component_is_none_of_them() {
    let config = from_text(
        "[backends.cloudrun]\ncomponent = 'x.wasm'\nproject = 'p'\ntimeout = 60\n",
        ServeArgs::default(),
    )
    .unwrap();
    let settings = config.settings("cloudrun").unwrap();
    assert_eq!(settings, BTreeMap::from([("project".into(), "p".into()), ("timeout".into(), "60".into())]));
}

#[test]
fn a_setting_that_is_a_list_is_refused_by_its_name() {
    let config = from_text("[backends.cloudrun]\nproject = ['p']", ServeArgs::default()).unwrap();
    let error = config.settings("cloudrun").unwrap_err().to_string();
    assert!(error.contains("backends.cloudrun.project"), "{error}");
}

#[test]
fn a_named_file_that_is_missing_is_an_error() {
    let args = CommonArgs { config: Some("/nowhere/config.toml".into()), ..CommonArgs::default() };
    assert!(matches!(Config::common(args), Err(ConfigError::Read { .. })));
}

#[test]
fn a_grant_is_no_setting_and_a_misspelt_one_is_an_error() {
    let config = from_text(
        "[backends.acme]\nregion = 'x'\ngrant = [{ host = '*.acme.example', credentials = ['acme'] }, { host = 'setting:url' }]\n",
        ServeArgs::default(),
    )
    .unwrap();
    let grant = |host: &str, credentials: &[&str]| HttpGrant {
        host: host.into(),
        credentials: credentials.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(
        config.grant("acme"),
        Some(vec![grant("*.acme.example", &["acme"]), grant("setting:url", &[])])
    );
    assert_eq!(config.grant("cloudrun"), None);
    assert_eq!(config.settings("acme").unwrap().keys().collect::<Vec<_>>(), ["region"]);
    for wrong in ["'*'", "[{ host = 'h', credential = 'c' }]", "[{ credentials = [] }]"] {
        assert!(
            from_text(&format!("[backends.acme]\ngrant = {wrong}\n"), ServeArgs::default()).is_err(),
            "{wrong}"
        );
    }
}

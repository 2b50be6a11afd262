//! Components that are replaced in a daemon that runs, and what they are granted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use serde_json::Value;
use sockerless_tests::{Daemon, Output, backend, dist, until};
use tempfile::TempDir;

/// A folder with components of its own, and the configuration that names it.
struct Installed(TempDir);

impl Installed {
    fn new(further: &str) -> Self {
        let folder = TempDir::with_prefix("sockerless-test-").unwrap();
        let plugins = folder.path().join("plugins");
        fs::create_dir(&plugins).unwrap();
        for entry in fs::read_dir(dist::folder().join("plugins")).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, plugins.join(path.file_name().unwrap())).unwrap();
        }
        let config = format!("plugins = {plugins:?}\n{further}");
        fs::write(folder.path().join("config.toml"), config).unwrap();
        Self(folder)
    }

    fn config(&self) -> String {
        self.0.path().join("config.toml").to_string_lossy().into_owned()
    }

    fn component(&self) -> PathBuf {
        self.0.path().join(format!("plugins/{}.wasm", backend().name))
    }

    fn start(&self) -> Daemon {
        Daemon::with(&["--config", &self.config()], &[])
    }

    /// Puts another component in the place of the backend's, as an installer does.
    fn replace(&self, bytes: &[u8]) {
        let new = self.0.path().join("new.wasm");
        fs::write(&new, bytes).unwrap();
        fs::rename(new, self.component()).unwrap();
    }
}

fn sockerless(arguments: &[&str], daemon: &Daemon) -> Output {
    let output = Command::new(dist::program("sockerless"))
        .args(arguments)
        .arg("--socket")
        .arg(daemon.socket())
        .arg("--state")
        .arg(daemon.state())
        .env_remove("SOCKERLESS_BACKEND")
        .output();
    output.unwrap().into()
}

/// The component with a text in the place of another of the same length.
fn patched(component: &Path, from: &str, to: &str) -> Vec<u8> {
    let mut bytes = fs::read(component).unwrap();
    let places: Vec<usize> =
        (0..=bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty(), "{from:?} is not in the component");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

fn inspected(installed: &Installed, daemon: &Daemon) -> Value {
    let shown = sockerless(&["plugin", "inspect", backend().name, "--config", &installed.config()], daemon);
    serde_json::from_str(&shown.ok()).unwrap()
}

#[test]
fn a_component_is_replaced_under_load_and_containers_run_on() {
    let installed = Installed::new("");
    let daemon = installed.start();
    daemon.load_busybox();
    let docker = daemon.docker();
    docker.run("run -d --name before busybox sleep 1000").ok();
    let shown = inspected(&installed, &daemon);
    let described = shown["description"].as_str().unwrap().to_owned();
    let (stop, runs) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(docker.run("run --rm busybox echo there").ok(), "there");
                runs.fetch_add(1, Ordering::Relaxed);
            }
        });
        let one_more = || {
            let before = runs.load(Ordering::Relaxed);
            until("another run", || {
                (load.is_finished() || runs.load(Ordering::Relaxed) > before).then_some(())
            });
        };
        one_more();
        installed.replace(&patched(&installed.component(), &described, &described.to_uppercase()));
        let told =
            sockerless(&["plugin", "reload", backend().name, "--config", &installed.config()], &daemon).ok();
        assert!(told.contains(" replaced by "), "{told}");
        one_more();
        one_more();
        stop.store(true, Ordering::Relaxed);
        load.join().unwrap();
    });
    let after = inspected(&installed, &daemon);
    assert_ne!(after["running"]["digest"], shown["running"]["digest"]);
    assert_eq!(after["running"]["granted"], shown["running"]["granted"]);
    assert!(docker.run("info").ok().contains(&described.to_uppercase()));
    assert_eq!(docker.run("exec before echo still").ok(), "still");
    docker.run("rm -f before").ok();
}

#[test]
fn a_broken_component_is_refused_and_told_and_the_old_one_stays() {
    let installed = Installed::new("");
    let daemon = installed.start();
    daemon.load_busybox();
    let reload = || sockerless(&["plugin", "reload", "--config", &installed.config()], &daemon);
    assert!(reload().ok().contains(": unchanged, "));
    let whole = fs::read(installed.component()).unwrap();
    installed.replace(&whole[..whole.len() / 2]);
    let refused = reload();
    assert_eq!(refused.code, 1);
    assert!(refused.stdout.contains("it is no WebAssembly component"), "{}", refused.stdout);
    assert!(refused.stdout.contains("the component that was there stays in place"), "{}", refused.stdout);
    assert_eq!(daemon.docker().run("run --rm busybox echo there").ok(), "there");
    let unknown = sockerless(&["plugin", "reload", "nowhere", "--config", &installed.config()], &daemon);
    assert!(unknown.fails(1).contains("there is no backend \"nowhere\""));
}

#[test]
fn sighup_takes_what_has_changed_and_ends_nothing() {
    let installed = Installed::new("");
    let daemon = installed.start();
    let shown = inspected(&installed, &daemon);
    let described = shown["description"].as_str().unwrap();
    installed.replace(&patched(&installed.component(), described, &described.to_uppercase()));
    let pid = daemon.pid().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    until("the new component", || {
        daemon.docker().run("info").ok().contains(&described.to_uppercase()).then_some(())
    });
    assert_eq!(daemon.pid().to_string(), pid);
}

/// With our own component once more, as a third party's of the name `acme`.
fn with_acme(section: &str) -> Installed {
    let installed = Installed::new(section);
    let ours = installed.0.path().join("plugins/cloudrun.wasm");
    fs::copy(ours, installed.0.path().join("plugins/acme.wasm")).unwrap();
    installed
}

fn runtimes(daemon: &Daemon) -> String {
    daemon.docker().args(["info", "--format", "{{json .Runtimes}}"]).ok()
}

#[test]
fn a_component_that_nobody_has_set_up_is_not_loaded() {
    let installed = with_acme("");
    let daemon = installed.start();
    let found = runtimes(&daemon);
    assert!(found.contains(backend().name) && !found.contains("acme"), "{found}");
}

#[test]
fn a_component_that_is_none_of_ours_reaches_what_the_operator_grants_and_is_not_loaded_without() {
    // Where nobody listens: nothing is asked of a cloud.
    let section = "[backends.acme]\nproject = 'not-our-project'\nrun_endpoint = 'http://127.0.0.1:9'\n";
    let ungranted = with_acme(section);
    let daemon = ungranted.start();
    assert!(!runtimes(&daemon).contains("acme"));
    let log = daemon.log_text();
    assert!(log.contains("the backend acme has no grant"), "{log}");
    assert!(log.contains("run.googleapis.com") && log.contains("credentials = "), "{log}");
    drop(daemon);

    let granted = with_acme(&format!(
        "{section}grant = [{{ host = 'setting:run_endpoint', credentials = ['google'] }}]\n"
    ));
    let daemon = granted.start();
    assert!(runtimes(&daemon).contains("acme"));
    let shown = sockerless(&["plugin", "inspect", "acme", "--config", &granted.config()], &daemon).ok();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let expected = serde_json::json!([{"host": "http://127.0.0.1:9", "credentials": ["google"]}]);
    assert_eq!(shown["running"]["granted"], expected);
    let log = daemon.log_text();
    assert!(log.contains("http://127.0.0.1:9 (google)"), "{log}");
}

#[test]
fn a_grant_of_the_operators_takes_away_what_the_manifest_asks() {
    let name = backend().name;
    let installed = Installed::new(&format!("[backends.{name}]\ngrant = [{{ host = 'nowhere.example' }}]\n"));
    let daemon = installed.start();
    let running = inspected(&installed, &daemon)["running"].clone();
    assert_eq!(running["granted"], serde_json::json!([]), "{running}");
    assert!(!running["withheld"].as_array().unwrap().is_empty());
    daemon.load_busybox();
    let words = daemon.docker().run("run --rm busybox true").fails(125);
    assert!(words.contains("not granted"), "{words}");
    let log = daemon.log_text();
    let loaded = log.lines().find(|line| line.contains(": loaded backend=")).expect("a line of the load");
    assert!(loaded.contains(" granted=nothing "), "{loaded}");
}

//! `sockerless doctor`: all passes against the simulator, and what is broken on purpose fails its own check.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::Command,
    thread,
};

use serde_json::Value;
use sockerless_tests::{Backend, Daemon, Output, backend, dist};
use tempfile::TempDir;

/// A state of its own, whose simulator ends with it.
struct Machine(TempDir);

/// What the doctor said.
struct Findings(Vec<Value>, i32);

impl Machine {
    fn new() -> Self {
        Self(TempDir::with_prefix("sockerless-doctor-").unwrap())
    }

    fn doctor(&self, config: &str) -> Findings {
        let file = self.0.path().join("config.toml");
        fs::write(&file, config).unwrap();
        doctor(&file, &self.0.path().join("state"), &self.0.path().join("none.sock"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let stop = ["simulator", "stop", "--state"];
        let _ =
            Command::new(dist::program("sockerless")).args(stop).arg(self.0.path().join("state")).output();
    }
}

fn doctor(config: &Path, state: &Path, socket: &Path) -> Findings {
    let output: Output = Command::new(dist::program("sockerless"))
        .args(["doctor", "--json", "--patience", "3", "--config"])
        .arg(config)
        .arg("--state")
        .arg(state)
        .arg("--socket")
        .arg(socket)
        .output()
        .unwrap()
        .into();
    let findings = serde_json::from_str(&output.stdout);
    Findings(findings.unwrap_or_else(|_| panic!("{}\n{}", output.stdout, output.stderr)), output.code)
}

/// A check of the backend that the tests run on.
fn own(check: &str) -> String {
    format!("{}: {check}", backend().name)
}

impl Findings {
    #[track_caller]
    fn get(&self, name: &str) -> &Value {
        self.0
            .iter()
            .find(|check| check["name"] == name)
            .unwrap_or_else(|| panic!("no {name} in {:?}", self.0))
    }

    fn failed(&self) -> Vec<&str> {
        let failed = self.0.iter().filter(|check| check["verdict"] == "fail");
        failed.map(|check| check["name"].as_str().unwrap()).collect()
    }

    #[track_caller]
    fn fails(&self, name: &str, words: &str) {
        let check = self.get(name);
        assert_eq!(check["verdict"], "fail", "{:?}", self.0);
        assert!(check["finding"].as_str().unwrap().contains(words), "{check}");
        assert_ne!(check["remedy"], "", "{check}");
        assert_eq!(self.1, 1);
    }
}

#[test]
fn all_passes_against_the_simulator_also_with_nothing_there_yet() {
    let machine = Machine::new();
    let findings = machine.doctor("");
    assert_eq!((findings.failed(), findings.1), (vec![], 0), "{:?}", findings.0);
    let [runs, keeps] = backend().checks.map(own);
    for name in [
        "state",
        "agent",
        &runs,
        &keeps,
        "test container",
        "test agent",
        "callback from the test container",
        "test process",
    ] {
        assert_eq!(findings.get(name)["verdict"], "pass", "{:?}", findings.0);
    }
    assert_eq!(findings.get(&own("dns"))["finding"], "a zone was made and removed");
    // What it started is gone, and so is what it wrote.
    assert!(!machine.0.path().join("state").join(backend().simulator).join("ready.json").exists());
    assert!(!machine.0.path().join("state/doctor").exists());
}

#[test]
fn a_daemon_that_runs_is_asked_to_run_the_container() {
    let daemon = Daemon::with_busybox();
    let findings = doctor(Path::new("/dev/null"), &daemon.state(), &daemon.socket());
    assert_eq!((findings.failed(), findings.1), (vec![], 0), "{:?}", findings.0);
    assert_eq!(findings.get("daemon")["verdict"], "pass");
    assert_eq!(findings.get("callback from the test container")["verdict"], "pass");
    assert_eq!(daemon.docker().run("ps --all --quiet").ok(), "");
}

#[test]
fn the_findings_are_for_people_unless_asked_otherwise() {
    let machine = Machine::new();
    let output: Output = Command::new(dist::program("sockerless"))
        .args(["doctor", "--config", "/dev/null", "--patience", "x", "--state"])
        .arg(machine.0.path())
        .output()
        .unwrap()
        .into();
    assert!(output.fails(2).contains("--patience"));
    let output: Output = Command::new(dist::program("sockerless"))
        .args(["doctor", "--config", "/dev/null", "--backend", "nowhere", "--state"])
        .arg(machine.0.path())
        .output()
        .unwrap()
        .into();
    assert_eq!(output.code, 1);
    assert!(output.stdout.contains("FAIL  backend: there is no backend \"nowhere\""), "{}", output.stdout);
    assert!(output.stdout.contains("→ ") && output.stdout.contains(" 1 failed"), "{}", output.stdout);
}

#[test]
fn a_wrong_account_fails_the_check_of_the_cloud() {
    let Backend { name, account: [setting, _, other], .. } = backend();
    let config = format!("[simulator]\nmode = 'on'\n[backends.{name}]\n{setting} = '{other}'\n");
    let findings = Machine::new().doctor(&config);
    findings.fails(&own(backend().asks_account), other);
    assert_eq!(findings.get("test container")["verdict"], "skip");
}

#[test]
fn missing_rights_on_the_storage_fail_its_checks() {
    let storage = refusing();
    let Backend { name, checks: [runs, keeps], storage_endpoint, .. } = backend();
    let config = format!("[simulator]\nmode = 'on'\n[backends.{name}]\n{storage_endpoint} = '{storage}'\n");
    let findings = Machine::new().doctor(&config);
    findings.fails(&own(keeps), "you may not");
    findings.fails(&own(backend().asks_storage), "you may not");
    assert_eq!(findings.get(&own(runs))["verdict"], "pass");
}

/// A storage that lets nobody in, for as long as the test's process lives.
fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut request = [0; 16 * 1024];
                let _ = stream.read(&mut request);
                let body =
                    r#"{"error": {"code": 403, "message": "you may not", "status": "PERMISSION_DENIED"}}"#;
                let head = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nConnection: close";
                let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            });
        }
    });
    format!("http://{address}")
}

#[test]
fn a_wrong_callback_address_fails_the_check_of_the_way_back() {
    let config = "callback_url = 'ws://127.0.0.1:9'\ncallback_listen = '127.0.0.1:0'\n";
    let findings = Machine::new().doctor(config);
    findings.fails("callback from the test container", "did not connect to ws://127.0.0.1:9/agent/v1");
    assert_eq!(findings.failed(), ["callback from the test container"]);
    assert_eq!(findings.get("test container")["verdict"], "pass");
}

#[test]
fn a_callback_address_that_is_none_fails_before_anything_is_started() {
    let findings = Machine::new().doctor("callback_url = 'http://here'\n");
    findings.fails("callback address", "callback_url");
    assert_eq!(findings.get("test container")["verdict"], "skip");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = format!("callback_url = 'ws://here'\ncallback_listen = '{address}'\n");
    Machine::new().doctor(&config).fails("callback address", "Address already in use");
}

#[test]
fn without_a_callback_address_the_doctor_warns() {
    let findings = Machine::new().doctor("callback_url = 'none'\n");
    assert_eq!((findings.failed(), findings.1), (vec![], 0), "{:?}", findings.0);
    assert_eq!(findings.get("callback address")["verdict"], "warn");
    assert_eq!(findings.get("test container")["verdict"], "skip");
}

#[test]
fn a_missing_agent_and_one_that_cannot_run_fail_their_checks() {
    let findings = Machine::new().doctor("agent = '/nowhere/agent'\n");
    findings.fails("agent", "/nowhere/agent");
    assert_eq!(findings.get("test container")["verdict"], "skip");

    let machine = Machine::new();
    let broken = machine.0.path().join("agent");
    fs::write(&broken, [b"\x7fELF\x02".as_slice(), &[0; 4096]].concat()).unwrap();
    let findings = machine.doctor(&format!("agent = '{}'\n", broken.display()));
    assert_eq!(findings.get("agent")["verdict"], "pass");
    findings.fails("test agent", "");
}

#[test]
fn an_expired_credential_fails_the_checks_that_need_it() {
    let cloud = Daemon::start();
    let findings = Machine::new().doctor(&cloud.cloud().configuration("expired"));
    for name in backend().signed_by_token {
        let name = own(name);
        findings.fails(&name, backend().refuses_token);
        assert!(findings.get(&name)["remedy"].as_str().unwrap().contains("renew the credential"));
    }
}

//! For tests: a host that answers as the test says and remembers what was asked, and workloads to begin with.

use std::{cell::RefCell, collections::BTreeMap};

use crate::{
    Error, ErrorCode, Result,
    host::{CredentialInfo, Host, Level, Transport},
    http::{Request, Response, SendError},
    jobs::{Container, Network, Resources, Spec, WorkloadKind},
    plugin::Manifest,
};

type Answer = Box<dyn Fn(&Request) -> std::result::Result<Response, SendError>>;

/// A host without a network.
pub struct FakeHost {
    settings: BTreeMap<String, String>,
    answer: Answer,
    now: u64,
    credential: Option<String>,
    requests: RefCell<Vec<Request>>,
    lines: RefCell<Vec<(Level, String)>>,
}

impl Default for FakeHost {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeHost {
    /// No settings, the time 0, and 404 for every request.
    pub fn new() -> Self {
        Self {
            settings: BTreeMap::new(),
            answer: Box::new(|_| Ok(response(404, ""))),
            now: 0,
            credential: Some("test credential".into()),
            requests: RefCell::default(),
            lines: RefCell::default(),
        }
    }

    /// Takes the defaults of a manifest's settings, as the daemon does.
    #[must_use]
    pub fn defaults(mut self, manifest: &Manifest) -> Self {
        for setting in &manifest.settings {
            if let Some(value) = &setting.default {
                self.settings.insert(setting.name.clone(), value.clone());
            }
        }
        self
    }

    /// Sets a setting.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// Sets the time.
    #[must_use]
    pub fn at(mut self, now: u64) -> Self {
        self.now = now;
        self
    }

    /// Has no credential: describing one fails with `unauthenticated`.
    #[must_use]
    pub fn without_credential(mut self) -> Self {
        self.credential = None;
        self
    }

    /// Answers requests.
    #[must_use]
    pub fn answering(mut self, answer: impl Fn(&Request) -> Response + 'static) -> Self {
        self.answer = Box::new(move |request| Ok(answer(request)));
        self
    }

    /// Answers requests, or fails to.
    #[must_use]
    pub fn failing(mut self, error: SendError) -> Self {
        self.answer = Box::new(move |_| Err(error.clone()));
        self
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }

    /// What was logged so far.
    pub fn lines(&self) -> Vec<(Level, String)> {
        self.lines.borrow().clone()
    }
}

/// An answer with a JSON or text body.
pub fn response(status: u16, body: impl ToString) -> Response {
    let headers = vec![("content-type".into(), "application/json".into())];
    Response { status, headers, body: body.to_string().into_bytes() }
}

impl Transport for FakeHost {
    fn send(&self, request: &Request) -> std::result::Result<Response, SendError> {
        let answer = (self.answer)(request);
        self.requests.borrow_mut().push(request.clone());
        answer
    }
}

impl Host for FakeHost {
    fn setting(&self, name: &str) -> Option<String> {
        self.settings.get(name).cloned()
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn log(&self, level: Level, message: &str) {
        self.lines.borrow_mut().push((level, message.into()));
    }

    fn credential(&self, name: &str) -> Result<CredentialInfo> {
        match &self.credential {
            Some(source) => Ok(CredentialInfo { source: source.clone(), principal: None }),
            None => Err(Error::new(ErrorCode::Unauthenticated, format!("no credential for {name}"))),
        }
    }

    fn placeholder(&self, name: &str, scope: Option<&str>) -> Result<String> {
        let of = scope.map(|scope| format!("-for-{scope}")).unwrap_or_default();
        self.credential(name).map(|_| format!("placeholder-of-{name}{of}"))
    }
}

/// A container that asks for nothing.
pub fn container() -> Container {
    Container {
        name: "main".into(),
        image: "docker.io/library/busybox:latest".into(),
        command: vec![],
        args: vec![],
        env: vec![],
        secret_env: vec![],
        working_dir: None,
        resources: Resources { cpu_millis: None, memory_bytes: None },
        mounts: vec![],
        ports: vec![],
        depends_on: vec![],
        startup: None,
        liveness: None,
    }
}

/// A workload that asks for nothing.
pub fn spec() -> Spec {
    Spec {
        name: "sl-abc-1".into(),
        owner: "d0".into(),
        kind: WorkloadKind::RunToCompletion,
        init: vec![],
        containers: vec![container()],
        volumes: vec![],
        labels: vec![],
        timeout_seconds: None,
        max_retries: 0,
        network: Network { all_traffic: false, zones: vec![] },
        accelerator: None,
        expires: None,
        start: true,
    }
}

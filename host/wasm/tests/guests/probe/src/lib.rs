//! A backend that misbehaves on request. Its one useful function is `storage.get`, whose path is
//! a command: `fetch URL`, `sign CREDENTIAL URL`, `trap`, …

use std::{hint::black_box, rc::Rc};

use sockerless_plugin_sdk::{
    Dns, Error, ErrorCode, Host, Jobs, Level, Plugin, Request, Result, Storage,
    jobs::{Handle, Spec},
    plugin::{Feature, HttpGrant, ImageSources, Limits, Manifest, Setting},
};

/// The tests patch the last word in the component's bytes to get other components from one build.
static MARK: &str = "sockerless-probe-mark:fine";

fn mark(word: &str) -> bool {
    black_box(MARK).ends_with(word)
}

struct Probe(Rc<dyn Host>);

fn setting(name: &str, required: bool, default: Option<&str>) -> Setting {
    Setting {
        name: name.into(),
        environment: format!("SOCKERLESS_PROBE_{}", name.to_uppercase()),
        description: format!("The {name} of the probe"),
        required,
        default: default.map(Into::into),
    }
}

fn grant(host: &str, credentials: &[&str]) -> HttpGrant {
    HttpGrant { host: host.into(), credentials: credentials.iter().map(|c| (*c).into()).collect() }
}

impl Plugin for Probe {
    fn describe() -> Manifest {
        if mark("trap") {
            panic!("this component cannot describe itself");
        }
        Manifest {
            name: "probe".into(),
            version: "0.1.0".into(),
            description: "A backend that misbehaves on request".into(),
            settings: vec![setting("endpoint", false, None), setting("colour", false, Some("blue"))],
            http: vec![
                grant("setting:endpoint", &["test", "kept"]),
                grant("localhost", &[]),
                grant("127.0.0.1", &[]),
                grant("10.1.2.3", &[]),
                grant("cloud.invalid", &["test"]),
            ],
            features: Feature::START_ON_CREATE | Feature::PAUSE | Feature::INIT_CONTAINERS,
            limits: Limits {
                max_timeout_seconds: 3600,
                cpu_millis: (250, 4000),
                memory_bytes: (1 << 20, 1 << 30),
                stop_grace_seconds: 10,
                max_env: 100,
            },
            sizes: vec![],
            volumes: None,
        }
    }

    fn new(host: Rc<dyn Host>) -> Result<Self> {
        if mark("deny") || host.setting("colour").as_deref() == Some("infrared") {
            return Err(error("colour: infrared cannot be seen; choose a colour between red and violet"));
        }
        Ok(Self(host))
    }

    fn images(&self) -> Result<ImageSources> {
        Ok(ImageSources { direct: vec![], repository: None, credential: None, platforms: vec![] })
    }
}

fn error(message: &str) -> Error {
    Error {
        code: ErrorCode::InvalidArgument,
        message: message.into(),
        provider_status: None,
        retry_after_ms: None,
    }
}

impl Jobs for Probe {
    fn create(&self, spec: Spec) -> Result<Handle> {
        let names: Vec<&str> =
            spec.init.iter().chain(&spec.containers).map(|container| container.name.as_str()).collect();
        Ok(Handle { name: spec.name, state: names.join(" "), started: spec.start })
    }
}

impl Dns for Probe {}

impl Storage for Probe {
    fn get(&self, path: String, _offset: u64, length: u32) -> Result<Vec<u8>> {
        let words: Vec<&str> = path.split(' ').collect();
        let request = match words[..] {
            ["echo", text] => return Ok(text.into()),
            ["setting", name] => return Ok(self.0.setting(name).unwrap_or_default().into()),
            ["log", text] => {
                self.0.log(Level::Info, text);
                println!("printed {text}");
                return Ok(Vec::new());
            }
            ["trap"] => panic!("as you wish"),
            ["loop"] => loop {
                black_box(length);
            },
            ["sleep"] => {
                wasip2::clocks::monotonic_clock::subscribe_duration(u64::MAX / 2).block();
                return Ok(Vec::new());
            }
            ["memory"] => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(black_box(vec![1_u8; 1 << 20]));
                }
            }
            ["folder"] => {
                return Ok(match std::fs::read_dir("/") {
                    Ok(_) => "readable".into(),
                    Err(error) => error.to_string().into(),
                });
            }
            ["environment"] => return Ok(format!("{}", std::env::vars().count()).into()),
            ["whoami", credential] => {
                let info = self.0.credential(credential)?;
                return Ok(format!("{} {:?}", info.source, info.principal).into());
            }
            ["fetch", url] => Request::get(url),
            ["forge", url] => Request::get(url).header("authorization", "Bearer forged"),
            ["sign", credential, url] => Request::get(url).credential(credential),
            ["key", credential, url] => {
                let placeholder = self.0.placeholder(credential, None)?;
                Request::post(url).body("text/plain", format!("key={placeholder};").into_bytes())
            }
            ["upload", url] => Request::put(url).body("text/plain", vec![b'x'; length as usize]),
            _ => return Err(error("unknown command")),
        };
        let answer = self.0.send(&request)?;
        let mut text = format!("{}\n", answer.status).into_bytes();
        text.extend_from_slice(&answer.body);
        Ok(text)
    }
}

sockerless_plugin_sdk::export!(Probe);

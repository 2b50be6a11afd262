//! The guest, its variants, and a host around it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use sockerless_credentials::{
    CredentialError, CredentialErrorKind, CredentialSet, Description, Fixed, Provider, RegistryLogin, Secret,
    Signer,
};
use sockerless_ports::backend::{Error, Storage as _};
use sockerless_wasm::{HostConfig, Limits, Plugin, PluginHost, PluginOptions, Proxies};

/// The token of the credential `test`.
pub const TOKEN: &str = "t0ken-of-the-tests";

/// The component of `tests/guests/probe`. Built once; cargo caches it below the target folder.
pub fn probe() -> Vec<u8> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(build).clone()
}

fn build() -> Vec<u8> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/probe/Cargo.toml");
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--target", "wasm32-wasip2", "--manifest-path"])
        .arg(manifest)
        .env("CARGO_TARGET_DIR", &target)
        // What is set for the host's compiler breaks the guest's.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(target.join("wasm32-wasip2/debug/probe.wasm")).unwrap()
}

/// The guest with another mark: `trap` cannot describe itself, `deny` accepts no settings, and
/// `good` is as well as `fine`, with other bytes.
pub fn marked(word: &str) -> Vec<u8> {
    patched("sockerless-probe-mark:fine", &format!("sockerless-probe-mark:{word}"))
}

/// The guest with a text of its bytes replaced by one of the same length.
pub fn patched(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = probe();
    let places: Vec<usize> =
        (0..=bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty(), "{from:?} is not in the component");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

/// A secret that is kept as `old` until it is to be forgotten, and is `new` at its provider.
#[derive(Default)]
struct Kept(AtomicBool);

#[async_trait]
impl Provider for Kept {
    async fn resolve(&self, _: &str, _: Option<&str>) -> Result<Signer, CredentialError> {
        let text = if self.0.load(Ordering::Relaxed) { "new" } else { "old" };
        Ok(Signer::Bearer(Secret::new(text)))
    }

    fn forget(&self, _: &str, _: Option<&str>) {
        self.0.store(true, Ordering::Relaxed);
    }

    async fn describe(&self, _: &str) -> Result<Description, CredentialError> {
        Ok(Description { source: "the tests".into(), principal: None })
    }

    async fn registry_login(&self, name: &str, _: &str) -> Result<RegistryLogin, CredentialError> {
        Err(CredentialError::new(name, CredentialErrorKind::Unsupported, "for no registry", ""))
    }
}

/// A plugin host. All tests share the compile cache below the target folder.
pub struct Fixture {
    pub host: PluginHost,
}

impl Fixture {
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    pub fn with_limits(limits: Limits) -> Self {
        Self { host: host(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-cache"), limits) }
    }

    pub fn with_proxies(proxies: Proxies) -> Self {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-cache");
        Self { host: host_with(&cache, Limits::default(), proxies) }
    }

    pub async fn load(&self, settings: &[(&str, &str)]) -> Result<Arc<Plugin>, Error> {
        self.host.load("probe", probe(), options(settings)).await
    }
}

pub fn host(cache: &Path, limits: Limits) -> PluginHost {
    host_with(cache, limits, Proxies::default())
}

fn host_with(cache: &Path, limits: Limits, proxies: Proxies) -> PluginHost {
    let credentials = CredentialSet::new()
        .with("test", Fixed::bearer(Secret::new(TOKEN)))
        .with("other", Fixed::bearer(Secret::new("another token")))
        .with("kept", Kept::default());
    let credentials = Arc::new(credentials);
    let config = HostConfig { cache_dir: cache.to_owned(), limits, credentials, proxies };
    PluginHost::new(config).unwrap()
}

pub fn options(settings: &[(&str, &str)]) -> PluginOptions {
    let settings: BTreeMap<_, _> =
        settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    PluginOptions { settings, ..PluginOptions::default() }
}

/// Has the guest carry out a command; see `tests/guests/probe`.
pub async fn command(plugin: &Plugin, text: &str) -> Result<String, Error> {
    plugin.get(text, 0, 0).await.map(|bytes| String::from_utf8(bytes).unwrap())
}

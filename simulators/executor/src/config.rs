//! What an executor is told when it is opened.

use std::{collections::BTreeMap, path::PathBuf};

/// How an executor works.
#[derive(Debug, Clone)]
pub struct ExecutorConfig {
    /// Its folder: layers, and what running tasks write. One executor at a time may own it.
    pub state: PathBuf,
    /// How to reach registries, by the host as it stands in an image reference (`docker.io`,
    /// `europe-docker.pkg.dev`). A host that is not listed is reached by https under its own name.
    pub registries: BTreeMap<String, RegistryAccess>,
    /// The program whose `main` calls [`crate::init`]. None: this one (`/proc/self/exe`).
    pub program: Option<PathBuf>,
    /// How many containers' namespaces are kept prepared; None: a number that suits the machine.
    pub prepared: Option<usize>,
}

impl ExecutorConfig {
    /// All defaults around a state folder.
    pub fn new(state: impl Into<PathBuf>) -> Self {
        Self { state: state.into(), registries: BTreeMap::new(), program: None, prepared: None }
    }
}

/// Where a registry answers and how to log in there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryAccess {
    /// Scheme and authority, without `/v2`: `http://127.0.0.1:5000`.
    pub base_url: String,
    /// None: anonymously (a token is fetched where the registry asks for one).
    pub auth: Option<RegistryAuth>,
}

/// A login at a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum RegistryAuth {
    /// Sent as it is, or to the token service that the registry names.
    Basic {
        /// User name.
        username: String,
        /// Password or access token.
        password: String,
    },
    /// Sent as it is.
    Bearer(String),
}

impl std::fmt::Debug for RegistryAuth {
    // Secrets stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Basic { username, .. } => write!(f, "Basic({username}, …)"),
            Self::Bearer(_) => write!(f, "Bearer(…)"),
        }
    }
}

/// What this machine lets the executor enforce.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// `memory_bytes` of a task holds.
    pub memory: bool,
    /// `cpu_millis` of a task holds.
    pub cpu: bool,
    /// Tasks reach beyond this machine.
    pub outbound: bool,
    /// Runs as an ordinary user, in a user namespace.
    pub rootless: bool,
    /// One sentence for each thing that does not hold, with the remedy.
    pub remarks: Vec<String>,
}

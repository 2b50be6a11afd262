//! The one switch of the suites: `SOCKERLESS_BACKEND` names the backend that every test runs on, as it does for a daemon.

/// What tests have to know of a backend; all else is the same on every one.
#[derive(Debug, PartialEq, Eq)]
pub struct Backend {
    /// As `--runtime` takes it.
    pub name: &'static str,
    /// The folder of its simulator in a daemon's state.
    pub simulator: &'static str,
    /// The driver that its volumes show.
    pub volume_driver: &'static str,
    /// The place that its volumes show, with `{name}` for the volume's.
    pub mountpoint: &'static str,
    /// What `sockerless doctor` calls its looks at what runs containers, and at what keeps files.
    pub checks: [&'static str; 2],
    /// The check that asks for the account, and the one that looks into its storage.
    pub asks_account: &'static str,
    /// See there.
    pub asks_storage: &'static str,
    /// The checks that fail when the token is not good any more, and a word of the cloud's then.
    pub signed_by_token: [&'static str; 2],
    /// See there.
    pub refuses_token: &'static str,
    /// The setting with the address of what keeps files.
    pub storage_endpoint: &'static str,
    /// The setting with the address of the containers' log, and what is in each request that reads it.
    pub log_endpoint: &'static str,
    /// See there.
    pub log_request: &'static str,
    /// A setting that says whose account it is, its variable, and a value that is somebody else's.
    pub account: [&'static str; 3],
}

/// Google Cloud Run.
pub static CLOUDRUN: Backend = Backend {
    name: "cloudrun",
    simulator: "simulator",
    volume_driver: "local",
    mountpoint: "/var/lib/docker/volumes/{name}/_data",
    checks: ["cloud run", "storage"],
    asks_account: "cloud run",
    asks_storage: "bucket",
    signed_by_token: ["cloud run", "storage"],
    refuses_token: "redentials",
    storage_endpoint: "storage_endpoint",
    log_endpoint: "logging_endpoint",
    log_request: "entries:list",
    account: ["project", "SOCKERLESS_GCR_PROJECT", "not-our-project"],
};

/// Azure Container Apps.
pub static ACA: Backend = Backend {
    name: "aca",
    simulator: "simulator-aca",
    volume_driver: "azure-files",
    mountpoint: "/mnt/azure/{name}",
    checks: ["environment", "storage"],
    asks_account: "jobs",
    asks_storage: "files",
    // Files are written with the account's key.
    signed_by_token: ["jobs", "environment"],
    refuses_token: "access token",
    storage_endpoint: "files_endpoint",
    log_endpoint: "logs_endpoint",
    log_request: "/query HTTP",
    account: ["resource_group", "SOCKERLESS_ACA_RESOURCE_GROUP", "not-our-group"],
};

/// The one that the tests run on.
///
/// # Panics
/// For a name that the tests know nothing of: a typing mistake must not pass for a tested backend.
pub fn backend() -> &'static Backend {
    match std::env::var("SOCKERLESS_BACKEND").as_deref() {
        Err(_) | Ok("" | "cloudrun") => &CLOUDRUN,
        Ok("aca") => &ACA,
        Ok(other) => panic!("SOCKERLESS_BACKEND={other}: the tests know cloudrun and aca"),
    }
}

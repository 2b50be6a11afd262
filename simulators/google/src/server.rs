//! The process: its listener, its parts, and which of them a request is for.

use std::fs::File;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, http::Request};
use sockerless_executor::{Executor, ExecutorConfig, RegistryAccess, RegistryAuth};
pub use sockerless_simulator_common::StartError;
use sockerless_simulator_common::faults::{Faults, PATH};
use sockerless_simulator_common::{listen, lock};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::{Config, Info};
use crate::db::Database;
use crate::dns::{Dns, NameServer};
use crate::error::{ApiError, Code};
use crate::logging::Logging;
use crate::registry::Registry;
use crate::run::CloudRun;
use crate::runner::{Machine, Runner};
use crate::storage::Storage;
use crate::{auth, db, dns, faults, ids, logging, registry, run, storage};

/// A simulator's parts, shared by all requests.
pub struct Simulator {
    pub(crate) config: Config,
    pub(crate) info: Info,
    pub(crate) db: Arc<Database>,
    pub(crate) runner: Arc<dyn Runner>,
    pub(crate) run: CloudRun,
    pub(crate) storage: Storage,
    pub(crate) dns: Dns,
    pub(crate) logging: Logging,
    pub(crate) registry: Registry,
    pub(crate) faults: Faults,
}

/// A simulator that answers.
pub struct Server {
    pub(crate) simulator: Arc<Simulator>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    _names: NameServer,
    /// Held while it runs.
    _lock: File,
}

impl Server {
    /// How to reach it.
    pub fn info(&self) -> &Info {
        &self.simulator.info
    }

    /// Ends it: no new requests, then all tasks.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        self.simulator.run.close();
        self.simulator.runner.shutdown().await;
        self.simulator.run.drained().await;
        self.simulator.logging.flush().await;
        // Clients may keep idle connections open for ever; the state is safe by now.
        self.serving.abort();
    }
}

/// Starts a simulator with the executor of this machine.
///
/// # Errors
/// [`StartError`].
pub async fn start(config: Config) -> Result<Server, StartError> {
    let state = config.state.join("executor");
    let mirror = config.docker_hub_mirror.clone();
    start_with(config, async move |registry: String, token: String| {
        let mut settings = ExecutorConfig::new(state);
        let auth = RegistryAuth::Basic { username: "oauth2accesstoken".to_owned(), password: token };
        let own = RegistryAccess { base_url: format!("http://{registry}"), auth: Some(auth) };
        settings.registries.insert(registry, own);
        if let Some(base_url) = mirror {
            settings.registries.insert("docker.io".to_owned(), RegistryAccess { base_url, auth: None });
        }
        let executor =
            Executor::open(settings).await.map_err(|error| StartError::Executor(error.to_string()))?;
        Ok(Arc::new(Machine(executor)) as Arc<dyn Runner>)
    })
    .await
}

/// Starts a simulator with a runner that is made once the registry's address and the token are known.
///
/// # Errors
/// [`StartError`].
pub async fn start_with<F>(mut config: Config, make: F) -> Result<Server, StartError>
where
    F: AsyncFnOnce(String, String) -> Result<Arc<dyn Runner>, StartError>,
{
    let folder = |error| StartError::Io(config.state.display().to_string(), error);
    std::fs::create_dir_all(&config.state).map_err(folder)?;
    config.state = config.state.canonicalize().map_err(folder)?;
    let lock = lock(&config.state)?;
    let db = Arc::new(Database::open(&config.state.join("google.db"), db::SCHEMA)?);
    let (listener, address) = listen(&db, config.listen, "port").await?;
    let token = match (&config.token, db.setting("token")?) {
        (Some(token), _) => token.clone(),
        (None, Some(token)) => token,
        (None, None) => ids::token(),
    };
    db.set_setting("token", &token)?;
    let runner = make(address.to_string(), token.clone()).await?;
    let dns = Dns::open(&db, config.quotas.dns_calls_per_minute)?;
    let names =
        NameServer::start(&dns).await.map_err(|error| StartError::Io("name server".to_owned(), error))?;
    let info = Info {
        pid: std::process::id(),
        google: format!("http://{address}"),
        registry: address.to_string(),
        dns: names.address().to_string(),
        host_address: runner.host_address().to_string(),
        bind_address: runner.bind_address().to_string(),
        token,
        project: config.projects.first().cloned().unwrap_or_default(),
        region: config.region.clone(),
    };
    let io = |what: &str| {
        let what = what.to_owned();
        move |error| StartError::Io(what, error)
    };
    let logging = Logging::open(&config.state, config.profile, config.quotas.entries_list_per_minute)?;
    let simulator = Arc::new(Simulator {
        storage: Storage::open(db.clone(), &config.state).map_err(io("objects"))?,
        registry: Registry::open(db.clone(), &config.state).map_err(io("registry"))?,
        dns,
        run: CloudRun::new(config.quotas.runs_per_minute),
        logging,
        runner,
        faults: Faults::default(),
        db,
        info,
        config,
    });
    run::recover(&simulator)?;
    let (stop, mut stopped) = watch::channel(false);
    let router = Router::new().fallback(dispatch).with_state(simulator.clone());
    let serving = tokio::spawn(async move {
        let closed = async move {
            // An error means that the server itself is gone.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY");
            }
        });
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(closed).await {
            tracing::error!(%error, "the listener failed");
        }
    });
    Ok(Server { simulator, stop, serving, _names: names, _lock: lock })
}

/// The paths of the services do not collide, apart from `/v2`, which Google's APIs and OCI registries share.
pub(crate) async fn dispatch(State(simulator): State<Arc<Simulator>>, request: Request<Body>) -> Response {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let fault = simulator.faults.hit(&method, &path);
    let response = match fault {
        Some(fault) => {
            if fault.lost {
                route(simulator, request).await;
            }
            faults::answer(fault, &path)
        }
        None => route(simulator, request).await,
    };
    tracing::debug!(%method, path, status = response.status().as_u16(), "request");
    response
}

async fn route(simulator: Arc<Simulator>, request: Request<Body>) -> Response {
    let path = request.uri().path().to_owned();
    match path.trim_start_matches('/').split('/').next().unwrap_or_default() {
        "v2" if logging::is_logging(&path) => logging::serve(simulator, request).await.into_response(),
        "v2" if run::is_run(&path) => run::serve(simulator, request).await.into_response(),
        "v2" => registry::serve(&simulator.registry, &*simulator, request).await,
        "storage" | "upload" | "download" | "resumable" | "batch" => storage::serve(simulator, request).await,
        "dns" => dns::serve(simulator, request).await,
        "" | "token" | "oauth2" | "v1" | "computeMetadata" => auth::serve(&simulator, request).await,
        "simulator" if path == "/simulator/v1/info" => Json(simulator.info.clone()).into_response(),
        "simulator" if path == PATH => simulator.faults.change(request, faults::known).await,
        _ => ApiError::new(Code::NotFound, format!("The requested URL {path} was not found on this server."))
            .into_response(),
    }
}

impl Simulator {
    /// Refuses projects that do not exist or are somebody else's: Google does not say which.
    pub(crate) fn project(&self, project: &str, service: &str) -> Result<(), ApiError> {
        if self.config.projects.iter().any(|known| known == project) {
            return Ok(());
        }
        let message = format!("Permission denied on resource project {project}.");
        let info = serde_json::json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "CONSUMER_INVALID",
            "domain": "googleapis.com",
            "metadata": {"consumer": format!("projects/{project}"), "service": service},
        });
        Err(ApiError { details: vec![info], ..ApiError::new(Code::PermissionDenied, message) })
    }
}

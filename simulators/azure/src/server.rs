//! The process: its listeners, its parts, and which of them a request is for.

use std::fs::File;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, http::Request};
use http::header;
use sockerless_executor::{Executor, ExecutorConfig, RegistryAccess, RegistryAuth};
pub use sockerless_simulator_common::StartError;
use sockerless_simulator_common::faults::{Faults, PATH};
use sockerless_simulator_common::registry::{self, Registry};
use sockerless_simulator_common::runner::{Machine, Runner};
use sockerless_simulator_common::{Database, Latency as _, db, listen, lock};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::ContainerApps;
use crate::arm::throttle::Throttle;
use crate::config::{Config, Info};
use crate::error::ArmError;
use crate::logs::Logs;
use crate::profile::Step;
use crate::storage::Files;
use crate::tls::{Certificate, Listener};
use crate::{app, arm, auth, defaults, faults, ids, logs, storage};

/// A simulator's parts, shared by all requests.
pub struct Simulator {
    pub(crate) config: Config,
    pub(crate) info: Info,
    pub(crate) db: Arc<Database>,
    pub(crate) runner: Arc<dyn Runner>,
    pub(crate) throttle: Throttle,
    pub(crate) faults: Faults,
    pub(crate) apps: ContainerApps,
    pub(crate) files: Files,
    pub(crate) logs: Logs,
    pub(crate) registry: Registry,
    /// What goes on beside the requests.
    pub(crate) work: TaskTracker,
    /// No more work is begun; what ends from now on ends by the simulator's own end.
    pub(crate) closing: CancellationToken,
}

/// A simulator that answers.
pub struct Server {
    pub(crate) simulator: Arc<Simulator>,
    stop: watch::Sender<bool>,
    serving: Vec<JoinHandle<()>>,
    /// Held while it runs.
    _lock: File,
}

impl Server {
    /// How to reach it.
    pub fn info(&self) -> &Info {
        &self.simulator.info
    }

    /// Ends it: no new requests, then all containers.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        self.simulator.closing.cancel();
        self.simulator.work.close();
        self.simulator.runner.shutdown().await;
        self.simulator.work.wait().await;
        self.simulator.logs.flush().await;
        // Clients may keep idle connections open for ever; the state is safe by now.
        for serving in self.serving {
            serving.abort();
        }
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
        let auth = RegistryAuth::Basic { username: "simulator".to_owned(), password: token };
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

/// Tables of all parts but the logs.
const TABLES: &[&str] =
    &[auth::SCHEMA, arm::store::SCHEMA, storage::SCHEMA, registry::store::SCHEMA, db::SETTINGS];

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
    let db = Arc::new(Database::open(&config.state.join("azure.db"), TABLES)?);
    let (plain, address) = listen(&db, config.listen, "port").await?;
    let (secure, secure_address) = listen(&db, config.listen_tls, "tls_port").await?;
    let io = |what: &str| {
        let what = what.to_owned();
        move |error| StartError::Io(what, error)
    };
    let certificate = Certificate::open(&config.state).map_err(io("certificate"))?;
    let secure = Listener::new(secure, &certificate).map_err(io("listener"))?;
    let kept = |name: &str, new: fn() -> String| -> Result<String, StartError> {
        if let Some(known) = db.setting(name)? {
            return Ok(known);
        }
        let new = new();
        db.set_setting(name, &new)?;
        Ok(new)
    };
    let token = match &config.token {
        Some(token) => token.clone(),
        None => kept("token", ids::token)?,
    };
    let runner = make(address.to_string(), token.clone()).await?;
    let http = format!("http://{address}");
    let group = config.groups.first().cloned().unwrap_or_default();
    let info = Info {
        pid: std::process::id(),
        azure: format!("https://{secure_address}"),
        certificate: certificate.path.display().to_string(),
        registry: address.to_string(),
        host_address: runner.host_address().to_string(),
        bind_address: runner.bind_address().to_string(),
        token,
        tenant: config.tenant.clone(),
        client_id: kept("client_id", ids::uuid)?,
        client_secret: kept("client_secret", ids::secret)?,
        identity: defaults::identity(&config.subscription, &group),
        identity_endpoint: format!("{http}/msi/token"),
        identity_header: kept("identity_header", ids::uuid)?,
        subscription: config.subscription.clone(),
        network: defaults::network(&config.subscription, &group),
        dns_zone: defaults::ZONE.to_owned(),
        resource_group: group,
        location: config.location.clone(),
        environment: defaults::ENVIRONMENT.to_owned(),
        storage_account: defaults::ACCOUNT.to_owned(),
        storage_key: kept("storage_key", storage::new_key)?,
        workspace: kept("workspace", ids::uuid)?,
        log_lag: Step::LogIngestion.millis(config.profile).end.div_ceil(1000).to_string(),
        http,
    };
    let simulator = Arc::new(Simulator {
        throttle: Throttle::new(config.quotas),
        faults: Faults::default(),
        apps: ContainerApps::default(),
        files: Files::open(&config.state).map_err(io("files"))?,
        logs: Logs::open(&config.state, config.profile)?,
        registry: Registry::open(db.clone(), &config.state).map_err(io("registry"))?,
        work: TaskTracker::new(),
        closing: CancellationToken::new(),
        runner,
        db,
        info,
        config,
    });
    let failed = |error: ArmError| StartError::Executor(error.message);
    arm::operations::recover(&simulator).map_err(failed)?;
    app::recover(&simulator).map_err(failed)?;
    defaults::make(&simulator).map_err(failed)?;
    let (stop, stopped) = watch::channel(false);
    let router = |scheme: Scheme| {
        Router::new().fallback(dispatch).layer(Extension(scheme)).with_state(simulator.clone())
    };
    let plain = axum::serve::ListenerExt::tap_io(plain, |stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
    });
    let serving = vec![
        serve(plain, router(Scheme("http")), stopped.clone()),
        serve(secure, router(Scheme("https")), stopped),
    ];
    Ok(Server { simulator, stop, serving, _lock: lock })
}

fn serve<L>(listener: L, router: Router, mut stopped: watch::Receiver<bool>) -> JoinHandle<()>
where
    L: axum::serve::Listener,
    L::Addr: std::fmt::Debug,
{
    tokio::spawn(async move {
        let closed = async move {
            // An error means that the server itself is gone.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(closed).await {
            tracing::error!(%error, "a listener failed");
        }
    })
}

/// By which of the listeners a request came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scheme(pub &'static str);

/// A request whose operation is to fail.
#[derive(Debug, Clone)]
pub(crate) struct Doom(pub ArmError);

/// The paths of the services do not collide.
pub(crate) async fn dispatch(
    State(simulator): State<Arc<Simulator>>,
    Extension(Scheme(scheme)): Extension<Scheme>,
    mut request: Request<Body>,
) -> Response {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| request.uri().authority().map(http::uri::Authority::as_str))
        .unwrap_or(&simulator.info.registry)
        .to_owned();
    let base = format!("{scheme}://{host}");
    let fault = simulator.faults.hit(&method, &path);
    let response = match fault {
        Some(fault) if fault.operation => {
            request.extensions_mut().insert(Doom(faults::error(fault)));
            route(simulator, &host, &base, request).await
        }
        Some(fault) => {
            let files = storage::is_files(&host, &path);
            if fault.lost {
                route(simulator, &host, &base, request).await;
            }
            faults::answer(fault, files)
        }
        None => route(simulator, &host, &base, request).await,
    };
    tracing::debug!(%method, path, status = response.status().as_u16(), "request");
    response
}

async fn route(simulator: Arc<Simulator>, host: &str, base: &str, request: Request<Body>) -> Response {
    let path = request.uri().path().to_owned();
    if storage::is_files(host, &path) {
        storage::serve(simulator, host, request).await
    } else if arm::is_arm(&path) {
        arm::serve(simulator, base, request).await
    } else if auth::is_auth(&path) {
        auth::serve(&simulator, base, request).await
    } else if path.starts_with("/v1/workspaces/") {
        logs::serve(simulator, request).await
    } else if path == "/v2" || path.starts_with("/v2/") {
        registry::serve(&simulator.registry, &*simulator, request).await
    } else if path == "/simulator/v1/info" {
        Json(simulator.info.clone()).into_response()
    } else if path == PATH {
        simulator.faults.change(request, faults::known).await
    } else {
        ArmError::not_found("NotFound", format!("{path} is no path of Azure's that is simulated."))
            .into_response()
    }
}

//! A container that is run to see whether containers can run, and whether their agents find back.

use std::{path::Path, sync::Arc, time::Duration};

use sockerless_engine::{Dependencies, Engine, EngineOptions, Step, TRIAL_COMMAND, failed_step};
use sockerless_ports::{
    Link, Registry, Store,
    backend::Check,
    registry::{Archive, ImportRequest},
    store::{Change, Kind},
};
use sockerless_store::{ContainerLogs, Records};

use super::report::{fail, pass, skip};
use crate::{
    Result,
    api::Api,
    backends::Backends,
    callback::{self, Callback},
    config::Config,
    images, serve,
};

/// What to try.
pub struct Trial<'a> {
    /// The configuration to try it with.
    pub config: &'a Config,
    /// The image; none for the smallest that is here.
    pub image: Option<&'a str>,
    /// Seconds that the agent may take once its job runs.
    pub patience: u64,
}

impl Trial<'_> {
    /// Has a daemon that runs do it: it has the port that agents dial.
    pub async fn by_daemon(&self, daemon: &Api) -> Vec<Check> {
        let image = match self.image {
            Some(image) => Ok(Some(image.to_owned())),
            None => daemon.smallest_image().await,
        };
        match image {
            Err(error) => vec![fail("test container", &error.to_string(), "see the daemon's log")],
            Ok(None) => {
                vec![skip("test container", "the daemon has no image: pull one, or name one by --image")]
            }
            Ok(Some(image)) => {
                let outcome = daemon.try_out(&image, TRIAL_COMMAND).await;
                self.found(&image, outcome.map_err(|error| error.to_string()))
            }
        }
    }

    /// Does it with an engine of its own, whose state is thrown away.
    pub async fn by_itself(&self, backends: Backends, callback: Option<Callback>) -> Vec<Check> {
        match self.run(backends, callback).await {
            Ok(checks) => checks,
            Err(error) => vec![fail("test container", &error.to_string(), "see the log (RUST_LOG=debug)")],
        }
    }

    async fn run(&self, backends: Backends, callback: Option<Callback>) -> Result<Vec<Check>> {
        let folder = Folder::new(&self.config.state.join("doctor"))?;
        let store = Records::open(folder.0.join("state.db"))?;
        self.lend_images(store.as_ref()).await?;
        let link = callback::link(callback.as_ref());
        let registry = images::open(self.config, store.clone(), Arc::clone(&backends.credentials)).await?;
        let image = match self.image {
            Some(image) => image.to_owned(),
            None => some_image(registry.as_ref()).await?,
        };
        let engine = Engine::open(Dependencies {
            backends: backends.ports(),
            default_backend: self.config.backend.clone(),
            link: Arc::clone(&link) as Arc<dyn Link>,
            registry,
            store,
            logs: ContainerLogs::open(folder.0.join("logs"))?,
            agent: serve::agent(self.config)?,
            options: EngineOptions {
                data_root: folder.0.clone(),
                callback_fingerprint: callback.as_ref().and_then(|callback| callback.fingerprint.clone()),
                agent_patience: Duration::from_secs(self.patience),
                ..EngineOptions::default()
            },
        })
        .await?;
        let serving = callback.map(|callback| tokio::spawn(link.serve(callback.listener)));
        let outcome = engine.try_out(&image).await;
        engine.close().await;
        if let Some(serving) = serving {
            serving.abort();
        }
        Ok(self.found(&image, outcome.map_err(|error| error.message)))
    }

    /// The images that the daemon has, for a store of its own. Their blobs stay where they are.
    async fn lend_images(&self, store: &dyn Store) -> Result {
        let images = Records::open(self.config.state.join("state.db"))?.load(Kind::Image).await?;
        store.commit(images.into_iter().map(|image| Change::Put(Kind::Image, image)).collect()).await?;
        Ok(())
    }

    /// What it means.
    fn found(&self, image: &str, outcome: std::result::Result<(), String>) -> Vec<Check> {
        let shown = image.get(..19).filter(|_| image.starts_with("sha256:")).unwrap_or(image);
        let (failed, message) = match outcome {
            Ok(()) => (None, String::new()),
            Err(message) => (Some(failed_step(&message)), message),
        };
        let fine = |name: &str, finding: &str, step: Step| match failed {
            Some(broken) if broken < step => skip(name, "it did not come to that"),
            Some(broken) if broken == step => fail(name, &message, remedy(step)),
            _ => pass(name, finding),
        };
        vec![
            fine("test container", &format!("the cloud runs a container of {shown}"), Step::Job),
            fine("test agent", "it was delivered and could be executed", Step::Agent),
            fine("callback from the test container", "the agent reached this daemon", Step::Callback),
            fine("test process", "the agent started it", Step::Process),
        ]
    }
}

fn remedy(step: Step) -> &'static str {
    match step {
        Step::Job => "see the cloud's words; if it is the image, name another one by --image",
        Step::Agent => {
            "the agent must be a static program for the image's platform, and the storage that carries it mountable with the right to execute"
        }
        Step::Callback => {
            "check that callback_url (SOCKERLESS_CALLBACK_URL) leads from the cloud's network to callback_listen on this machine: address, port, firewall, proxy"
        }
        Step::Process => "see the message; the agent must be able to execute itself",
    }
}

/// The smallest image that is here, or else one that is nothing but a name: the trial needs nothing of it.
async fn some_image(registry: &dyn Registry) -> Result<String> {
    let images = registry.list().await;
    if let Some(smallest) = images.into_iter().min_by_key(|image| image.size) {
        return Ok(smallest.id);
    }
    // The end of a tar archive, and nothing before it.
    let empty: Archive = Box::pin(futures_util::stream::iter([Ok(bytes::Bytes::from_static(&[0; 1024]))]));
    Ok(registry.import(empty, ImportRequest::default()).await?.id)
}

/// A folder that goes with its value.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(path: &Path) -> Result<Self> {
        let folder = Self(path.to_owned());
        // What a doctor that was killed has left.
        drop(Self(path.to_owned()));
        std::fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %self.0.display(), %error, "a folder of the doctor's cannot be removed");
        }
    }
}

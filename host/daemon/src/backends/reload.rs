//! Components that are replaced while the daemon runs.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use sockerless_api::{PluginBuild, PluginGrant, PluginStanding, Plugins, Reloaded};
use sockerless_ports::backend::HttpGrant;
use sockerless_wasm::Standing;

use super::{Backends, Loaded, listed};

/// The backends that a daemon has loaded. Which they are stays for its life; what components they have does not.
pub struct Fleet(BTreeMap<String, Loaded>);

impl Fleet {
    /// Those of a daemon.
    pub fn new(backends: &Backends) -> Arc<Self> {
        Arc::new(Self(backends.loaded.clone()))
    }
}

#[async_trait]
impl Plugins for Fleet {
    fn list(&self) -> Vec<PluginStanding> {
        let standing = |(name, loaded): (&String, &Loaded)| {
            let standing = loaded.plugin.standing();
            PluginStanding {
                name: name.clone(),
                component: loaded.component.display().to_string(),
                build: build(&standing),
                granted: grants(&standing.granted),
                withheld: grants(&standing.withheld),
            }
        };
        self.0.iter().map(standing).collect()
    }

    async fn reload(&self, name: Option<&str>) -> Option<Vec<Reloaded>> {
        if name.is_some_and(|name| !self.0.contains_key(name)) {
            return None;
        }
        let mut reloaded = Vec::new();
        for (backend, loaded) in self.0.iter().filter(|(backend, _)| name.is_none_or(|name| name == *backend))
        {
            reloaded.push(reload(backend, loaded).await);
        }
        Some(reloaded)
    }
}

/// The daemon's log has what came of it as well, since a signal has no other answer.
async fn reload(name: &str, loaded: &Loaded) -> Reloaded {
    let (swap, error) = match loaded.plugin.swap(loaded.component.as_path()).await {
        Ok(swap) => (swap, None),
        Err(error) => {
            tracing::error!(backend = name, %error, "a component was refused");
            let stays = loaded.plugin.standing();
            (sockerless_wasm::Swap { before: stays.clone(), after: stays }, Some(error.to_string()))
        }
    };
    let (before, after) = (&swap.before, &swap.after);
    if before.digest != after.digest {
        tracing::info!(
            backend = name, version = %after.version, digest = %after.digest, was = %before.digest,
            granted = %listed(&after.granted), withheld = %listed(&after.withheld), "replaced"
        );
    }
    Reloaded {
        name: name.to_owned(),
        before: build(before),
        after: build(after),
        withheld: grants(&after.withheld),
        error,
    }
}

fn build(standing: &Standing) -> PluginBuild {
    PluginBuild { version: standing.version.clone(), digest: standing.digest.clone() }
}

fn grants(grants: &[HttpGrant]) -> Vec<PluginGrant> {
    let shown =
        |grant: &HttpGrant| PluginGrant { host: grant.host.clone(), credentials: grant.credentials.clone() };
    grants.iter().map(shown).collect()
}

//! Where a simulator stands in for a backend's cloud.

use std::{collections::BTreeMap, sync::Arc};

use sockerless_credentials::CredentialSet;
use sockerless_ports::backend::Manifest;

use super::{Component, components, host};
use crate::{
    Result,
    config::{Config, SimulatorMode},
    simulator::{self, Profile, Simulator},
};

/// The simulator, if it stands in for a backend's cloud.
pub async fn stand_in(
    config: &Config,
    name: &str,
    components: &BTreeMap<String, Component>,
    environment: &BTreeMap<String, String>,
) -> Result<Option<(Simulator, Profile)>> {
    let Some(component) = components.get(name) else {
        return Err(format!("simulator.also: there is no backend {name:?}").into());
    };
    let mode = config.file.simulator.mode;
    if mode == SimulatorMode::Off {
        return Ok(None);
    }
    let Some(profile) = Profile::beside(&component.path)? else {
        if mode == SimulatorMode::On {
            return Err(format!("the backend {name} has no simulator; set simulator.mode to off").into());
        }
        return Ok(None);
    };
    if mode == SimulatorMode::Auto {
        let host = host(config, Arc::new(CredentialSet::new()))?;
        let manifest = host.describe(name, component.path.clone()).await?;
        if is_configured(&manifest, &config.settings(name)?, environment) {
            return Ok(None);
        }
    }
    Ok(Some((simulator::ensure(config, name, &profile).await?, profile)))
}

/// Starts the simulator of the default backend, if it has one.
pub async fn start_simulator(config: &Config) -> Result<Simulator> {
    let components = components(config)?;
    let profile = components
        .get(&config.backend)
        .map(|component| Profile::beside(&component.path))
        .transpose()?
        .flatten();
    let profile = profile.ok_or_else(|| format!("the backend {} has no simulator", config.backend))?;
    Ok(simulator::ensure(config, &config.backend, &profile).await?)
}

/// Whether the operator has given all that the backend requires.
fn is_configured(
    manifest: &Manifest,
    settings: &BTreeMap<String, String>,
    environment: &BTreeMap<String, String>,
) -> bool {
    manifest.settings.iter().filter(|setting| setting.required && setting.default.is_none()).all(|setting| {
        settings.contains_key(&setting.name)
            || environment.get(&setting.environment).is_some_and(|value| !value.is_empty())
    })
}

/// Whether the environment sets one of the backend's settings.
pub fn is_named(manifest: &Manifest, environment: &BTreeMap<String, String>) -> bool {
    let set = |variable: &String| environment.get(variable).is_some_and(|value| !value.is_empty());
    manifest.settings.iter().any(|setting| set(&setting.environment))
}

#[cfg(test)]
mod tests {
    use sockerless_ports::backend::{Features, Limits, Setting, VolumeDriver};

    use super::*;

    #[test]
    fn a_backend_is_named_by_the_variables_of_its_manifest_whatever_they_are_called() {
        let setting = |environment: &str| Setting {
            name: "project".into(),
            environment: environment.into(),
            description: String::new(),
            required: false,
            default: None,
        };
        let manifest = Manifest {
            name: "cloudrun".into(),
            version: "1.0.0".into(),
            description: String::new(),
            settings: vec![setting("SOCKERLESS_GCR_PROJECT"), setting("")],
            http: vec![],
            features: Features::default(),
            limits: Limits {
                max_timeout_seconds: 1,
                cpu_millis: (1, 1),
                memory_bytes: (1, 1),
                stop_grace_seconds: 1,
                max_env: 1,
            },
            sizes: vec![],
            volumes: VolumeDriver::default(),
        };
        let set = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert!(is_named(&manifest, &set("SOCKERLESS_GCR_PROJECT", "p")));
        assert!(!is_named(&manifest, &set("SOCKERLESS_GCR_PROJECT", "")));
        assert!(!is_named(&manifest, &set("SOCKERLESS_CLOUDRUN_PROJECT", "p")));
    }
}

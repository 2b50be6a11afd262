//! `sockerless plugin` and `sockerless version`.

use std::{path::Path, sync::Arc};

use serde_json::{Value, json};
use sockerless_credentials::CredentialSet;
use sockerless_ports::backend::Manifest;

use crate::{Result, backends, cli::PluginCommand, config::Config};

/// The contract that plugins are written against.
const CONTRACT: &str = "sockerless:backend@0.1";

/// Lists the backends, or shows one.
pub async fn run(command: PluginCommand) -> Result {
    match command {
        PluginCommand::Ls(args) => list(&Config::common(args)?).await,
        PluginCommand::Inspect { name, common } => inspect(&name, &Config::common(common)?).await,
    }
}

/// Prints the versions that matter for who meets whom.
pub fn version() {
    println!("sockerless {}", env!("CARGO_PKG_VERSION"));
    println!("Docker Engine API 1.24 to 1.51");
    println!("plugin contract {CONTRACT}");
}

async fn list(config: &Config) -> Result {
    let host = backends::host(config, Arc::new(CredentialSet::new()))?;
    println!("{:<16} {:<10} {:<8} DESCRIPTION", "NAME", "VERSION", "DEFAULT");
    for (name, component) in backends::components(config)? {
        let default = if name == config.backend { "yes" } else { "" };
        match host.describe(&name, component.clone()).await {
            Ok(manifest) => {
                println!("{name:<16} {:<10} {default:<8} {}", manifest.version, manifest.description);
            }
            Err(error) => println!("{name:<16} {:<10} {default:<8} {error}", "unusable"),
        }
    }
    Ok(())
}

async fn inspect(name: &str, config: &Config) -> Result {
    let components = backends::components(config)?;
    let component = components.get(name).ok_or_else(|| {
        let known: Vec<&str> = components.keys().map(String::as_str).collect();
        format!("there is no backend {name:?}; there are: {}", known.join(", "))
    })?;
    let host = backends::host(config, Arc::new(CredentialSet::new()))?;
    let manifest = host.describe(name, component.clone()).await?;
    println!("{}", serde_json::to_string_pretty(&shown(&manifest, component))?);
    Ok(())
}

fn shown(manifest: &Manifest, component: &Path) -> Value {
    let settings: Vec<Value> = manifest
        .settings
        .iter()
        .map(|setting| {
            json!({
                "name": setting.name, "environment": setting.environment, "description": setting.description,
                "required": setting.required, "default": setting.default,
            })
        })
        .collect();
    let http: Vec<Value> = manifest
        .http
        .iter()
        .map(|grant| json!({"host": grant.host, "credentials": grant.credentials}))
        .collect();
    let (features, limits) = (manifest.features, manifest.limits);
    json!({
        "name": manifest.name, "version": manifest.version, "description": manifest.description,
        "component": component, "settings": settings, "http": http,
        "features": {
            "sidecars": features.sidecars, "start_on_create": features.start_on_create,
            "run_as_user": features.run_as_user, "privileged": features.privileged,
            "read_only_root": features.read_only_root, "memory_volumes": features.memory_volumes,
            "hostname": features.hostname, "accelerators": features.accelerators,
            "inbound": features.inbound, "pause": features.pause, "scratch_volumes": features.scratch_volumes,
            "init_containers": features.init_containers,
        },
        "limits": {
            "max_timeout_seconds": limits.max_timeout_seconds, "cpu_millis": limits.cpu_millis,
            "memory_bytes": limits.memory_bytes, "stop_grace_seconds": limits.stop_grace_seconds,
            "max_env": limits.max_env,
        },
        "volumes": {"driver": manifest.volumes.name, "mountpoint": manifest.volumes.mountpoint},
    })
}

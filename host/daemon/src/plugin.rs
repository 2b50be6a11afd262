//! `sockerless plugin` and `sockerless version`.

use std::{path::Path, process::ExitCode, sync::Arc};

use serde_json::{Value, json};
use sockerless_credentials::CredentialSet;
use sockerless_ports::backend::Manifest;

use sockerless_api::{ApiVersion, PluginBuild, PluginGrant, PluginStanding, Reloaded};

use crate::{Result, api::Api, backends, cli::PluginCommand, config::Config};

/// Lists the backends, shows one, or has a daemon take them anew.
pub async fn run(command: PluginCommand) -> Result<ExitCode> {
    match command {
        PluginCommand::Ls(args) => list(&Config::common(args)?).await?,
        PluginCommand::Inspect { name, connect } => inspect(&name, &Config::connect(connect)?).await?,
        PluginCommand::Reload { name, connect } => {
            return reload(name.as_deref(), &Config::connect(connect)?).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the versions that matter for who meets whom.
pub fn version() {
    println!("sockerless {}", env!("CARGO_PKG_VERSION"));
    println!("Docker Engine API {} to {}", ApiVersion::MIN, ApiVersion::MAX);
    println!("plugin contract {}", sockerless_wasm::contract());
}

/// Fails when a component was refused.
async fn reload(name: Option<&str>, config: &Config) -> Result<ExitCode> {
    let reloaded = Api::required(config).await?.reload(name).await?;
    reloaded.iter().for_each(|reloaded| println!("{}", told(reloaded)));
    let refused = reloaded.iter().any(|reloaded| reloaded.error.is_some());
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn told(Reloaded { name, before, after, withheld, error }: &Reloaded) -> String {
    let build = |build: &PluginBuild| format!("{} ({})", build.version, build.digest);
    if let Some(error) = error {
        return format!("{name}: still {}: {error}", build(before));
    }
    if before == after {
        return format!("{name}: unchanged, {}", build(before));
    }
    let replaced = format!("{name}: {} replaced by {}", build(before), build(after));
    if withheld.is_empty() {
        return replaced;
    }
    let hosts: Vec<&str> = withheld.iter().map(|grant| grant.host.as_str()).collect();
    format!("{replaced}; it asks for more than it is granted: {}", hosts.join(", "))
}

async fn list(config: &Config) -> Result {
    let host = backends::host(config, Arc::new(CredentialSet::new()))?;
    println!("{:<16} {:<10} {:<8} DESCRIPTION", "NAME", "VERSION", "DEFAULT");
    for (name, component) in backends::components(config)? {
        let default = if name == config.backend { "yes" } else { "" };
        match host.describe(&name, component.path.clone()).await {
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
    let manifest = host.describe(name, component.path.clone()).await?;
    let mut shown = shown(&manifest, &component.path);
    // What a daemon that runs has of it: another file may have been put there since. A daemon of another version may not say.
    let running = match Api::find(config).await {
        Some(daemon) => told_by(daemon.plugins().await, name),
        None => None,
    };
    shown["running"] = running.as_ref().map(standing).unwrap_or_default();
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(())
}

/// What a daemon says of one; nothing, and a note, where it does not say.
fn told_by(answer: Result<Vec<PluginStanding>>, name: &str) -> Option<PluginStanding> {
    match answer {
        Ok(plugins) => plugins.into_iter().find(|plugin| plugin.name == name),
        Err(error) => {
            eprintln!("the daemon that runs does not say what it has of {name}: {error}");
            None
        }
    }
}

fn standing(running: &PluginStanding) -> Value {
    let grants = |grants: &[PluginGrant]| -> Vec<Value> {
        grants.iter().map(|grant| json!({"host": grant.host, "credentials": grant.credentials})).collect()
    };
    json!({
        "version": running.build.version, "digest": running.build.digest, "component": running.component,
        "granted": grants(&running.granted), "withheld": grants(&running.withheld),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_does_not_say_what_it_runs_is_no_error() {
        let running = PluginStanding {
            name: "acme".into(),
            build: PluginBuild { version: "1.0.0".into(), digest: "sha256:a".into() },
            component: "acme.wasm".into(),
            granted: vec![],
            withheld: vec![],
        };
        assert_eq!(told_by(Ok(vec![running.clone()]), "acme"), Some(running.clone()));
        assert_eq!(told_by(Ok(vec![running]), "other"), None);
        assert_eq!(told_by(Err("page not found".into()), "acme"), None);
    }

    #[test]
    fn what_came_of_a_reload_is_told_in_a_line() {
        let build =
            |version: &str, digest: &str| PluginBuild { version: version.into(), digest: digest.into() };
        let (old, new) = (build("1.0.0", "sha256:a"), build("1.1.0", "sha256:b"));
        let reloaded = |after: &PluginBuild, withheld: &[&str], error: Option<&str>| {
            told(&Reloaded {
                name: "acme".into(),
                before: old.clone(),
                after: after.clone(),
                withheld: withheld
                    .iter()
                    .map(|host| PluginGrant { host: (*host).into(), credentials: vec![] })
                    .collect(),
                error: error.map(str::to_owned),
            })
        };
        assert_eq!(reloaded(&old, &[], None), "acme: unchanged, 1.0.0 (sha256:a)");
        assert_eq!(reloaded(&new, &[], None), "acme: 1.0.0 (sha256:a) replaced by 1.1.0 (sha256:b)");
        assert!(reloaded(&new, &["x.test"], None).ends_with("more than it is granted: x.test"));
        assert_eq!(reloaded(&old, &[], Some("broken")), "acme: still 1.0.0 (sha256:a): broken");
    }
}

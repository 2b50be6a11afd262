//! Looks at the account with read-only calls.

use serde_json::Value;
use sockerless_plugin_sdk::{Error, ErrorCode, Method, Request, plugin::Check};

use crate::{ContainerApps, clouds, logs, manifest};

/// All checks. Without a credential the others are skipped.
pub fn checks(plugin: &ContainerApps) -> Vec<Check> {
    let credential = match plugin.host.credential(manifest::ARM) {
        Ok(info) => {
            let whom = info.principal.map_or_else(String::new, |principal| format!(", as {principal}"));
            Check::pass("credentials", format!("{}{whom}", info.source))
        }
        Err(error) => {
            let mut checks = vec![Check::fail(
                "credentials",
                error.message,
                format!(
                    "run `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET{}",
                    elsewhere(plugin)
                ),
            )];
            let rest = [
                "jobs",
                "services",
                "environment",
                "storage account",
                "files",
                "repository",
                "logs",
                "zones",
            ];
            checks.extend(rest.map(|name| Check::skip(name, "there is no credential to ask with")));
            return checks;
        }
    };
    vec![
        credential,
        jobs(plugin),
        services(plugin),
        environment(plugin),
        account(plugin),
        files(plugin),
        repository(plugin),
        logs(plugin),
        zones(plugin),
    ]
}

fn ask(plugin: &ContainerApps, doing: &str, id: &str) -> Result<Value, Error> {
    let answer = plugin.send(Request::get(plugin.config.url(id)))?;
    plugin.check(doing, &answer)?;
    answer.json()
}

fn jobs(plugin: &ContainerApps) -> Check {
    let config = &plugin.config;
    match ask(plugin, "listing jobs", &format!("{}/providers/Microsoft.App/jobs", config.group)) {
        Ok(_) => Check::pass("jobs", format!("jobs in {} can be listed", config.group)),
        Err(error) => {
            let remedy = match error.code {
                ErrorCode::NotFound => {
                    "check `subscription_id` (SOCKERLESS_ACA_SUBSCRIPTION_ID) and `resource_group` (SOCKERLESS_ACA_RESOURCE_GROUP), and run \
                     `az provider register --namespace Microsoft.App`"
                        .into()
                }
                _ => remedy(plugin, &error, "Contributor", &config.group),
            };
            Check::fail("jobs", error.message, remedy)
        }
    }
}

/// Whether container apps can be looked at: the listing of what a daemon has left goes over them, too.
fn services(plugin: &ContainerApps) -> Check {
    let config = &plugin.config;
    match ask(plugin, "listing apps", &format!("{}/providers/Microsoft.App/containerApps", config.group)) {
        Ok(_) => Check::pass("services", format!("container apps in {} can be listed", config.group)),
        Err(error) => {
            let remedy = remedy(plugin, &error, "Container Apps Contributor", &config.group);
            match error.code {
                ErrorCode::PermissionDenied => Check::warn(
                    "services",
                    format!(
                        "containers with the label sockerless.service cannot be started: {}",
                        error.message
                    ),
                    format!("if you want such, {remedy}"),
                ),
                _ => Check::fail("services", error.message, remedy),
            }
        }
    }
}

/// Whether the environment is there, ready, and where the containers are to be.
fn environment(plugin: &ContainerApps) -> Check {
    let config = &plugin.config;
    let found = match ask(plugin, "asking for the environment", &config.environment) {
        Ok(found) => found,
        Err(error) => {
            let remedy = match error.code {
                ErrorCode::NotFound => "check `environment` (SOCKERLESS_ACA_ENVIRONMENT)".into(),
                _ => remedy(plugin, &error, "Contributor", &config.environment),
            };
            return Check::fail("environment", error.message, remedy);
        }
    };
    let name = config.environment.rsplit('/').next().unwrap_or_default();
    let location = found["location"].as_str().unwrap_or_default().to_ascii_lowercase().replace(' ', "");
    let state = found["properties"]["provisioningState"].as_str().unwrap_or_default();
    if location != config.location {
        return Check::fail(
            "environment",
            format!("{name} is in {location:?}, and a job has to be there too"),
            format!("set `location` (SOCKERLESS_ACA_LOCATION) to {location}"),
        );
    }
    if state != "Succeeded" {
        return Check::fail(
            "environment",
            format!("{name} is {state}"),
            "wait until it is ready, or make it anew",
        );
    }
    let profile = config.workload_profile.as_deref();
    let has = |wanted: &str| {
        found["properties"]["workloadProfiles"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["name"] == wanted))
    };
    if let Some(missing) = profile.filter(|name| !has(name)) {
        return Check::fail(
            "environment",
            format!("{name} has no workload profile {missing}"),
            "check `workload_profile` (SOCKERLESS_ACA_WORKLOAD_PROFILE)",
        );
    }
    Check::pass("environment", format!("{name} in {location} is ready"))
}

fn account(plugin: &ContainerApps) -> Check {
    let config = &plugin.config;
    match ask(plugin, "asking for the storage account", &config.account) {
        Ok(found) if found["properties"]["allowSharedKeyAccess"] == false => Check::fail(
            "storage account",
            format!(
                "{} forbids the use of its key, and Container Apps mounts a share by nothing else",
                config.account_name()
            ),
            format!(
                "allow it: az storage account update --ids {} --allow-shared-key-access true",
                config.account
            ),
        ),
        Ok(_) => Check::pass("storage account", format!("{} is there", config.account_name())),
        Err(error) => {
            let remedy = match error.code {
                ErrorCode::NotFound => "check `storage_account` (SOCKERLESS_ACA_STORAGE_ACCOUNT)".into(),
                _ => remedy(plugin, &error, "Storage Account Contributor", &config.account),
            };
            Check::fail("storage account", error.message, remedy)
        }
    }
}

/// Whether files can be read; the share need not be there yet.
fn files(plugin: &ContainerApps) -> Check {
    let config = &plugin.config;
    let files = plugin.files(&config.share);
    let request = files.request(Method::Get, files.url("")).query("restype", "share");
    let answered = files.send(&request).and_then(|answer| match answer.status {
        404 => Ok(false),
        _ => files.check("asking for the share", &answer).map(|()| true),
    });
    match answered {
        Ok(true) => Check::pass("files", format!("the share {} is there", config.share)),
        Ok(false) if config.repository.is_some() => {
            Check::pass("files", "they can be read; the agent comes from `repository` and needs no share")
        }
        Ok(false) => Check::warn(
            "files",
            format!("the share {} does not exist; the first container will make it", config.share),
            format!(
                "to make it yourself: az storage share-rm create --storage-account {} --name {}",
                config.account, config.share
            ),
        ),
        Err(error) => {
            let role = if config.by_identity {
                "Storage File Data Privileged Contributor"
            } else {
                "Storage Account Key Operator Service Role"
            };
            Check::fail("files", error.message.clone(), remedy(plugin, &error, role, &config.account))
        }
    }
}

fn repository(plugin: &ContainerApps) -> Check {
    let config = &plugin.config;
    match (&config.repository, &config.registry_identity) {
        (None, _) => Check::warn(
            "repository",
            "none is set, so only public images can run, none that was built or loaded here, and the agent is mounted from a share",
            "set `repository` (SOCKERLESS_ACA_REPOSITORY) to REGISTRY.azurecr.io/PATH",
        ),
        (Some(repository), None) if repository.contains(".azurecr.") => Check::fail(
            "repository",
            format!("nothing may pull from {repository}: a registry of Azure always wants a login"),
            "set `registry_identity` (SOCKERLESS_ACA_REGISTRY_IDENTITY) to an identity with the role AcrPull",
        ),
        (Some(repository), None) => {
            Check::pass("repository", format!("{repository}, pulled without a login"))
        }
        (Some(repository), Some(identity)) => {
            let identity = identity.rsplit('/').next().unwrap_or_default();
            Check::pass("repository", format!("{repository}, pulled as {identity}"))
        }
    }
}

fn logs(plugin: &ContainerApps) -> Check {
    if plugin.config.workspace.is_none() {
        return Check::warn(
            "logs",
            "no workspace is set: what an agent could not deliver cannot be read later",
            "set `log_analytics_workspace` (SOCKERLESS_ACA_LOG_ANALYTICS_WORKSPACE)",
        );
    }
    match logs::trial(plugin) {
        Ok(()) => Check::pass("logs", "the containers' log can be queried"),
        // The table comes with the first line that a container writes.
        Err(error) if error.message.contains("Failed to resolve table") => Check::warn(
            "logs",
            error.message,
            "run a container, wait some minutes, and look again; or check `log_table`",
        ),
        Err(error) => {
            let remedy = remedy(plugin, &error, "Log Analytics Reader", "the workspace");
            Check::fail("logs", error.message, remedy)
        }
    }
}

fn zones(plugin: &ContainerApps) -> Check {
    let config = &plugin.config;
    let (Some(id), Some(name)) = (&config.dns_zone, config.zone_name()) else {
        return Check::skip("zones", "no zone is set (`dns_zone`, SOCKERLESS_ACA_DNS_ZONE)");
    };
    match ask(plugin, "asking for the DNS zone", id) {
        Ok(found) if found["properties"]["numberOfVirtualNetworkLinks"] == 0 => Check::warn(
            "zones",
            format!("{name} is linked to no VNet, so nobody sees the names"),
            format!(
                "az network private-dns link vnet create {} --zone-name {name} --name sockerless --virtual-network VNET --registration-enabled false, with the environment's VNet",
                group_of(id)
            ),
        ),
        Ok(_) => Check::pass("zones", format!("{name} is there")),
        Err(error) => {
            let remedy = match error.code {
                ErrorCode::NotFound => {
                    format!(
                        "az network private-dns zone create {} --name {name}, and link it to the VNet",
                        group_of(id)
                    )
                }
                _ => remedy(plugin, &error, "Private DNS Zone Contributor", id),
            };
            Check::fail("zones", error.message, remedy)
        }
    }
}

/// The options by which a command of the CLI finds the group of a resource.
fn group_of(id: &str) -> String {
    let mut parts = id.trim_start_matches('/').split('/').skip(1).step_by(2);
    let mut part = || parts.next().unwrap_or_default();
    format!("--subscription {} --resource-group {}", part(), part())
}

/// What to think of in another cloud than the public one: where the daemon signs in is no setting of the plugin's.
fn elsewhere(plugin: &ContainerApps) -> String {
    let cloud = plugin.config.cloud;
    if cloud == clouds::CLOUDS[0] {
        return String::new();
    }
    format!(
        "; and let the daemon sign in there, too: kind = \"azure\", cloud = \"{}\" in [credentials.azure-arm]",
        cloud.name
    )
}

/// What helps against the usual refusals.
fn remedy(plugin: &ContainerApps, error: &Error, role: &str, scope: &str) -> String {
    match error.code {
        ErrorCode::PermissionDenied => {
            format!(
                "give the daemon's identity the role: az role assignment create --role \"{role}\" --scope {scope} --assignee ID"
            )
        }
        ErrorCode::Unauthenticated => format!("renew the credential: az login{}", elsewhere(plugin)),
        ErrorCode::Unavailable | ErrorCode::DeadlineExceeded => format!(
            "check the way to {}: network, proxy, and the endpoint settings",
            clouds::host_of(&plugin.config.arm)
        ),
        _ => "see Azure's message".into(),
    }
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;

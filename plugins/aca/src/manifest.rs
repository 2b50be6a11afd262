//! Who this plugin is.

use sockerless_plugin_sdk::plugin::{Feature, HttpGrant, Limits, Manifest, Setting, VolumeDriver};

use crate::{clouds::CLOUDS, jobs::sizes, limits};

/// The host's name for tokens of Azure Resource Manager.
pub const ARM: &str = "azure-arm";
/// The host's name for the keys and tokens of storage accounts.
pub const STORAGE: &str = "azure-storage";
/// The host's name for tokens of Log Analytics.
pub const LOGS: &str = "azure-logs";

/// Name, required, default, description. The variable is `SOCKERLESS_ACA_` and the name.
const SETTINGS: [(&str, bool, Option<&str>, &str); 24] = [
    ("subscription_id", true, None, "The id of the subscription"),
    ("resource_group", true, None, "The resource group that the containers' jobs are made in"),
    (
        "environment",
        true,
        None,
        "The Container Apps environment: its name, or its resource id when it is in another group",
    ),
    ("location", true, None, "The environment's region, like westeurope"),
    (
        "storage_account",
        true,
        None,
        "The storage account for the agent and for volumes: its name, or its resource id",
    ),
    (
        "log_analytics_workspace",
        false,
        None,
        "The id (a GUID) of the Log Analytics workspace that the environment logs to",
    ),
    (
        "log_table",
        false,
        Some("ContainerAppConsoleLogs_CL"),
        "The table with the containers' output: ContainerAppConsoleLogs_CL, or ContainerAppConsoleLogs with Azure Monitor as the destination",
    ),
    (
        "log_lag",
        false,
        // The documents' “20 seconds to 3 minutes”.
        Some("180"),
        "Seconds until a line of a container is in the workspace, at most: without an agent its end is told so much later, with its last lines",
    ),
    (
        "dns_zone",
        false,
        None,
        "A private DNS zone that is linked to the environment's VNet: its name, or its resource id; containers get A records there",
    ),
    (
        "repository",
        false,
        None,
        "Registry and path for images that Container Apps cannot pull itself, and for the agent's: REGISTRY.azurecr.io/PATH",
    ),
    (
        "registry_identity",
        false,
        None,
        "What pulls from `repository`: the resource id of a user-assigned identity, or system-environment; unset, the registry needs no login",
    ),
    ("identity", false, None, "Resource id of a user-assigned identity that the containers have"),
    (
        "workload_profile",
        false,
        None,
        "The environment's workload profile that runs the containers; unset, Consumption",
    ),
    (
        "timeout",
        false,
        None,
        "Seconds after which Container Apps ends a container that asks for no other limit; unset, 604800 (7 days)",
    ),
    (
        "share",
        false,
        Some("sockerless"),
        "The file share for the agent where no `repository` is set; made when it is missing",
    ),
    (
        "volume_share",
        false,
        None,
        "A file share that is there already, in which each volume is a folder; unset, each volume is a share of its own",
    ),
    (
        "storage_auth",
        false,
        Some("key"),
        "How files are written: key (with the account's key), or identity (with the daemon's own, which needs Storage File Data Privileged Contributor)",
    ),
    (
        "storage_key_secret",
        false,
        None,
        "URL of the Key Vault secret with the account's key; set, the environment reads it there and the key never leaves the vault",
    ),
    (
        "storage_key_identity",
        false,
        Some("system"),
        "What reads `storage_key_secret`: system for the environment's own identity, or the resource id of a user-assigned one",
    ),
    ("cloud", false, Some("public"), "Which of Microsoft's clouds: public, china or us-government"),
    ("arm_endpoint", false, None, "Address of Azure Resource Manager, for a simulator or a private cloud"),
    (
        "files_endpoint",
        false,
        None,
        "Address of the storage account's files, for a simulator or a private endpoint",
    ),
    ("logs_endpoint", false, None, "Address of Log Analytics, for a simulator or a private cloud"),
    (
        "secret_identity",
        false,
        None,
        "What reads secrets from Key Vault for containers: system-environment, or an identity's resource id; the daemon asks for no such secrets yet",
    ),
];

/// The manifest.
pub fn manifest() -> Manifest {
    let settings = SETTINGS
        .iter()
        .map(|&(name, required, default, description)| Setting {
            name: name.into(),
            environment: format!("SOCKERLESS_ACA_{}", name.to_ascii_uppercase()),
            description: description.into(),
            required,
            default: default.map(Into::into),
        })
        .collect();
    let grant = |host: String, credentials: &[&str]| HttpGrant {
        host,
        credentials: credentials.iter().map(|&name| name.into()).collect(),
    };
    let mut http = vec![
        grant("setting:arm_endpoint".into(), &[ARM, STORAGE]),
        grant("setting:files_endpoint".into(), &[STORAGE]),
        grant("setting:logs_endpoint".into(), &[LOGS]),
    ];
    for cloud in CLOUDS {
        // A storage account's key stands in the body of what an environment is told.
        http.push(grant(cloud.arm.into(), &[ARM, STORAGE]));
        http.push(grant(format!("*.{}", cloud.files), &[STORAGE]));
        http.push(grant(cloud.logs.into(), &[LOGS]));
    }
    let sizes = sizes();
    let (smallest, largest) = (sizes[0], sizes[sizes.len() - 1]);
    Manifest {
        name: "aca".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        description: "Azure Container Apps jobs".into(),
        settings,
        http,
        features: Feature::INBOUND | Feature::SIDECARS | Feature::SCRATCH_VOLUMES | Feature::INIT_CONTAINERS,
        limits: Limits {
            max_timeout_seconds: limits::TIMEOUT_MAX_SECONDS,
            cpu_millis: (smallest.cpu_millis, largest.cpu_millis),
            memory_bytes: (smallest.memory_bytes.0, largest.memory_bytes.1),
            stop_grace_seconds: limits::STOP_GRACE_SECONDS,
            max_env: limits::ENV_MAX,
        },
        sizes,
        // The names that users of Azure Files know.
        volumes: Some(VolumeDriver { name: "azure-files".into(), mountpoint: "/mnt/azure/{name}".into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_are_those_of_the_documents() {
        let manifest = manifest();
        let variables: Vec<_> =
            manifest.settings.iter().map(|setting| setting.environment.as_str()).collect();
        for wanted in [
            "SUBSCRIPTION_ID",
            "RESOURCE_GROUP",
            "ENVIRONMENT",
            "LOCATION",
            "STORAGE_ACCOUNT",
            "LOG_ANALYTICS_WORKSPACE",
        ] {
            assert!(variables.contains(&format!("SOCKERLESS_ACA_{wanted}").as_str()), "{wanted}");
        }
    }

    #[test]
    fn a_storage_key_goes_to_resource_manager_and_to_files_alone() {
        for grant in manifest().http {
            let logs = grant.host.contains("loganalytics") || grant.host.contains("logs_endpoint");
            assert_eq!(grant.credentials.contains(&STORAGE.to_owned()), !logs, "{}", grant.host);
        }
    }

    #[test]
    fn the_limits_are_the_ends_of_the_sizes() {
        let manifest = manifest();
        assert_eq!(manifest.limits.cpu_millis, (250, 4000));
        assert_eq!(manifest.limits.memory_bytes, (512 << 20, 8 << 30));
        assert!(manifest.sizes.is_sorted_by_key(|size| size.cpu_millis));
    }
}

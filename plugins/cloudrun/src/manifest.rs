//! Who this plugin is.

use sockerless_plugin_sdk::plugin::{Feature, HttpGrant, Limits, Manifest, Setting, Size};

use crate::{google, limits};

/// The APIs: the setting that overrides one, and its public host.
const APIS: [(&str, &str); 5] = [
    ("run_endpoint", "run.googleapis.com"),
    ("storage_endpoint", "storage.googleapis.com"),
    ("logging_endpoint", "logging.googleapis.com"),
    ("dns_endpoint", "dns.googleapis.com"),
    ("artifact_registry_endpoint", "artifactregistry.googleapis.com"),
];

/// Name, required, default, description. The variable is `SOCKERLESS_GCR_` and the name.
const SETTINGS: [(&str, bool, Option<&str>, &str); 12] = [
    ("project", true, None, "The id of the Google project that the containers run in"),
    ("region", false, Some("us-central1"), "The region that the containers run in"),
    (
        "vpc_connector",
        false,
        None,
        "Serverless VPC Access connector for the containers' way into a VPC: its name, or projects/P/locations/R/connectors/C",
    ),
    ("network", false, None, "VPC network for direct VPC egress, instead of a connector"),
    ("subnetwork", false, None, "Subnetwork for direct VPC egress"),
    (
        "dns",
        false,
        Some("on"),
        "Whether networks get a private zone in Cloud DNS: on or off; the names between containers do not need it",
    ),
    (
        "dns_network",
        false,
        None,
        "VPC network that sees the zones: its name, or projects/P/global/networks/N; unset, `network`, else default",
    ),
    (
        "log_id",
        false,
        None,
        "Id of the log that holds the containers' output; unset, Cloud Run's own stdout and stderr",
    ),
    (
        "bucket",
        false,
        None,
        "Cloud Storage bucket for the agent and for volumes; unset, sockerless-PROJECT-REGION, made when it is missing",
    ),
    (
        "repository",
        false,
        None,
        "Artifact Registry repository for images that Cloud Run cannot pull itself: REGION-docker.pkg.dev/PROJECT/REPOSITORY",
    ),
    (
        "service_account",
        false,
        None,
        "E-mail address of the service account that the containers run as; unset, the project's default",
    ),
    (
        "timeout",
        false,
        None,
        "Seconds after which Cloud Run ends a container that asks for no other limit; unset, 604800 (7 days)",
    ),
];

/// The manifest.
pub fn manifest() -> Manifest {
    let mut settings: Vec<Setting> = SETTINGS
        .iter()
        .map(|&(name, required, default, description)| {
            setting(name, required, default, description.to_owned())
        })
        .collect();
    let mut http = Vec::new();
    for (name, host) in APIS {
        let default = format!("https://{host}");
        settings.push(setting(
            name,
            false,
            Some(&default),
            format!("Address of the API {host}, for a simulator or a private endpoint"),
        ));
        for host in [host.to_owned(), format!("setting:{name}")] {
            http.push(HttpGrant { host, credentials: vec![google::CREDENTIAL.into()] });
        }
    }
    let mib = |mib: u64| mib * limits::MIB;
    let [(smallest, least, _), .., (largest, _, most)] = limits::SIZES;
    Manifest {
        name: "cloudrun".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        description: "Google Cloud Run jobs".into(),
        settings,
        http,
        features: Feature::SIDECARS
            | Feature::START_ON_CREATE
            | Feature::MEMORY_VOLUMES
            | Feature::ACCELERATORS,
        limits: Limits {
            max_timeout_seconds: limits::TASK_TIMEOUT_MAX_SECONDS,
            cpu_millis: (smallest * 1000, largest * 1000),
            memory_bytes: (mib(least), mib(most)),
            stop_grace_seconds: limits::STOP_GRACE_SECONDS,
            max_env: limits::ENV_MAX,
        },
        sizes: limits::SIZES
            .iter()
            .map(|&(cpus, least, most)| Size {
                cpu_millis: cpus * 1000,
                memory_bytes: (mib(least), mib(most)),
            })
            .collect(),
        volumes: None,
    }
}

fn setting(name: &str, required: bool, default: Option<&str>, description: String) -> Setting {
    Setting {
        name: name.into(),
        environment: format!("SOCKERLESS_GCR_{}", name.to_ascii_uppercase()),
        description,
        required,
        default: default.map(Into::into),
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
            "PROJECT",
            "REGION",
            "VPC_CONNECTOR",
            "DNS",
            "DNS_NETWORK",
            "LOG_ID",
            "BUCKET",
            "REPOSITORY",
            "SERVICE_ACCOUNT",
            "RUN_ENDPOINT",
        ] {
            assert!(variables.contains(&format!("SOCKERLESS_GCR_{wanted}").as_str()), "{wanted}");
        }
    }

    #[test]
    fn each_api_is_granted_by_host_and_by_setting() {
        let hosts: Vec<_> = manifest().http.into_iter().map(|grant| grant.host).collect();
        assert!(
            hosts.contains(&"run.googleapis.com".into()) && hosts.contains(&"setting:run_endpoint".into())
        );
    }
}

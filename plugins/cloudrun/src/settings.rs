//! The operator's settings, read and checked.

use sockerless_plugin_sdk::{Host, Result, Settings};

use crate::{limits, manifest};

/// What all calls need to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Project id.
    pub project: String,
    /// Region.
    pub region: String,
    /// The way into a VPC.
    pub vpc: Option<Vpc>,
    /// The log of the containers' output, unless it is Cloud Run's own.
    pub log_id: Option<String>,
    /// Bucket for blobs.
    pub bucket: String,
    /// Artifact Registry repository.
    pub repository: Option<String>,
    /// Identity of the containers.
    pub service_account: Option<String>,
    /// Seconds that a container runs at most, unless it says otherwise.
    pub timeout_seconds: Option<u64>,
    /// The VPC network that sees the zones, by its URL in the Compute API; none for no zones.
    pub dns_network: Option<String>,
    /// Cloud Run Admin API.
    pub run: String,
    /// Cloud Storage.
    pub storage: String,
    /// Cloud Logging.
    pub logging: String,
    /// Cloud DNS.
    pub dns: String,
    /// Artifact Registry.
    pub artifact_registry: String,
}

/// A way into a VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vpc {
    /// Through a connector, by its full name.
    Connector(String),
    /// Direct egress: network, subnetwork; at least one is there.
    Direct(Option<String>, Option<String>),
}

impl Config {
    /// Reads all settings.
    ///
    /// # Errors
    /// `invalid-argument` that names the setting.
    pub fn read(host: &dyn Host) -> Result<Self> {
        let manifest = manifest::manifest();
        let settings = Settings::new(host, &manifest);
        let project = settings.required("project")?;
        if !is_project(&project) {
            return Err(settings.bad(
                "project",
                &project,
                "a project id like my-project-123 (not its number or title)",
            ));
        }
        let region = settings.required("region")?;
        if !is_name(&region, 63) || !region.contains('-') {
            return Err(settings.bad("region", &region, "a region like europe-west1"));
        }
        let repository = settings.get("repository").map(|value| value.trim_end_matches('/').to_owned());
        if let Some(value) = &repository
            && !is_repository(value)
        {
            return Err(settings.bad(
                "repository",
                value,
                "a path like europe-west1-docker.pkg.dev/my-project/my-repository, without scheme and tag",
            ));
        }
        let bucket = settings.get("bucket").unwrap_or_else(|| default_bucket(&project, &region));
        if !is_bucket(&bucket) {
            return Err(settings.bad(
                "bucket",
                &bucket,
                "the bare name of a bucket (3 to 63 of a-z, 0-9, -, _ and .)",
            ));
        }
        let timeout_seconds = settings.parsed::<u64>("timeout", "a number of seconds")?;
        if let Some(value) = timeout_seconds.filter(|t| *t == 0 || *t > limits::TASK_TIMEOUT_MAX_SECONDS) {
            return Err(settings.bad("timeout", &value.to_string(), "1 to 604800 seconds"));
        }
        let vpc = vpc(&settings, &project, &region)?;
        let dns_network = dns_network(&settings, &project)?;
        Ok(Self {
            vpc,
            dns_network,
            log_id: settings.get("log_id"),
            bucket,
            repository,
            service_account: settings.get("service_account"),
            timeout_seconds,
            run: settings.url("run_endpoint")?,
            storage: settings.url("storage_endpoint")?,
            logging: settings.url("logging_endpoint")?,
            dns: settings.url("dns_endpoint")?,
            artifact_registry: settings.url("artifact_registry_endpoint")?,
            project,
            region,
        })
    }

    /// `projects/P/locations/R`, the parent of all jobs.
    pub fn parent(&self) -> String {
        format!("projects/{}/locations/{}", self.project, self.region)
    }

    /// The URL of a resource of Cloud Run, by its name.
    pub fn run_url(&self, name: &str) -> String {
        format!("{}/v2/{name}", self.run)
    }
}

fn vpc(settings: &Settings<'_>, project: &str, region: &str) -> Result<Option<Vpc>> {
    let (network, subnetwork) = (settings.get("network"), settings.get("subnetwork"));
    let direct = network.is_some() || subnetwork.is_some();
    match settings.get("vpc_connector") {
        Some(value) if direct => Err(settings.bad(
            "vpc_connector",
            &value,
            "unset when network or subnetwork is set: a container has one way into a VPC",
        )),
        Some(value)
            if value.contains('/') && !(value.starts_with("projects/") && value.contains("/connectors/")) =>
        {
            Err(settings.bad(
                "vpc_connector",
                &value,
                "a connector's name, or projects/P/locations/R/connectors/C",
            ))
        }
        Some(value) if value.contains('/') => Ok(Some(Vpc::Connector(value))),
        Some(value) => {
            Ok(Some(Vpc::Connector(format!("projects/{project}/locations/{region}/connectors/{value}"))))
        }
        None => Ok(direct.then_some(Vpc::Direct(network, subnetwork))),
    }
}

/// The network whose machines see the zones.
fn dns_network(settings: &Settings<'_>, project: &str) -> Result<Option<String>> {
    match settings.get("dns").as_deref() {
        None | Some("on") => {}
        Some("off") => return Ok(None),
        Some(other) => return Err(settings.bad("dns", other, "on or off")),
    }
    let given = settings.get("dns_network").map(|value| ("dns_network", value));
    let given = given.or_else(|| settings.get("network").map(|value| ("network", value)));
    let (setting, value) = given.unwrap_or(("dns_network", "default".to_owned()));
    let path = match value.strip_prefix("projects/").map(|rest| rest.split('/').collect::<Vec<_>>()) {
        Some(parts) => match parts.as_slice() {
            [project, "global", "networks", name] if is_project(project) && is_name(name, 63) => {
                value.clone()
            }
            _ => String::new(),
        },
        None if is_name(&value, 63) => format!("projects/{project}/global/networks/{value}"),
        None => String::new(),
    };
    if path.is_empty() {
        return Err(settings.bad(setting, &value, "a network's name, or projects/P/global/networks/N"));
    }
    Ok(Some(format!("https://www.googleapis.com/compute/v1/{path}")))
}

/// `sockerless-P-R`. A domain-scoped project has characters that a bucket's name may not have.
fn default_bucket(project: &str, region: &str) -> String {
    let name = format!("sockerless-{}-{region}", project.replace([':', '.'], "-"));
    name.chars().take(63).collect::<String>().trim_end_matches('-').to_owned()
}

fn is_project(text: &str) -> bool {
    let id = text.rsplit(':').next().unwrap_or_default();
    let domain = text.strip_suffix(id).unwrap_or_default();
    is_name(id, 30)
        && id.len() >= 4
        && domain.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-:".contains(c))
}

fn is_name(text: &str, longest: usize) -> bool {
    text.len() <= longest
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_repository(text: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-:/".contains(c);
    let (host, path) = text.split_once('/').unwrap_or_default();
    let tagless = !path.contains(':') && !path.split('/').any(str::is_empty);
    !host.is_empty() && text.chars().all(good) && tagless
}

fn is_bucket(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (3..=222).contains(&text.len())
        && text.chars().all(inner)
        && text.starts_with(ends)
        && text.ends_with(ends)
}

#[cfg(test)]
mod tests {
    use sockerless_plugin_sdk::testing::FakeHost;

    use super::*;

    fn host() -> FakeHost {
        FakeHost::new().defaults(&manifest::manifest()).setting("project", "my-project")
    }

    fn refusal(name: &str, value: &str) -> String {
        Config::read(&host().setting(name, value)).unwrap_err().message
    }

    #[test]
    fn only_the_project_has_to_be_given() {
        let config = Config::read(&host()).unwrap();
        assert_eq!(config.bucket, "sockerless-my-project-us-central1");
        assert_eq!(
            config.run_url(&config.parent()),
            "https://run.googleapis.com/v2/projects/my-project/locations/us-central1"
        );
        let error = Config::read(&FakeHost::new().defaults(&manifest::manifest())).unwrap_err();
        assert!(error.message.contains("SOCKERLESS_GCR_PROJECT"), "{}", error.message);
    }

    #[test]
    fn a_bare_connector_gets_its_full_name() {
        let config = Config::read(&host().setting("vpc_connector", "c1")).unwrap();
        assert_eq!(
            config.vpc,
            Some(Vpc::Connector("projects/my-project/locations/us-central1/connectors/c1".into()))
        );
        let full = "projects/p/locations/r/connectors/c";
        assert_eq!(
            Config::read(&host().setting("vpc_connector", full)).unwrap().vpc,
            Some(Vpc::Connector(full.into()))
        );
    }

    #[test]
    fn the_zones_are_seen_from_the_network_that_is_named_last() {
        let network = |host: FakeHost| Config::read(&host).unwrap().dns_network;
        let url = |path: &str| Some(format!("https://www.googleapis.com/compute/v1/projects/{path}"));
        assert_eq!(network(host()), url("my-project/global/networks/default"));
        assert_eq!(network(host().setting("network", "n")), url("my-project/global/networks/n"));
        let shared =
            host().setting("network", "n").setting("dns_network", "projects/host-project/global/networks/v");
        assert_eq!(network(shared), url("host-project/global/networks/v"));
        assert_eq!(network(host().setting("dns", "off")), None);
        assert!(refusal("dns", "maybe").contains("`dns`"));
        assert!(refusal("dns_network", "projects/p/v").contains("`dns_network`"));
    }

    #[test]
    fn what_cannot_be_right_is_refused_by_name() {
        assert!(refusal("project", "My Project").contains("`project`"));
        assert!(refusal("region", "nowhere").contains("`region`"));
        assert!(refusal("repository", "https://x/y").contains("`repository`"));
        assert!(refusal("repository", "x-docker.pkg.dev/p/r:tag").contains("`repository`"));
        assert!(refusal("bucket", "gs://b").contains("`bucket`"));
        assert!(refusal("timeout", "0").contains("`timeout`"));
        assert!(refusal("timeout", "soon").contains("`timeout`"));
        assert!(refusal("run_endpoint", "run").contains("`run_endpoint`"));
        assert!(refusal("vpc_connector", "a/b").contains("`vpc_connector`"));
        let both = host().setting("vpc_connector", "c").setting("network", "n");
        assert!(Config::read(&both).unwrap_err().message.contains("one way into a VPC"));
    }

    #[test]
    fn a_repository_may_be_on_a_registry_of_this_machine() {
        let config = Config::read(&host().setting("repository", "127.0.0.1:4001/my-project/r/")).unwrap();
        assert_eq!(config.repository.as_deref(), Some("127.0.0.1:4001/my-project/r"));
    }
}

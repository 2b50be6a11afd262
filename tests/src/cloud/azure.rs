//! Azure's Resource Manager: Container Apps, and the private DNS zone in which networks are subtrees.

use serde_json::{Value, json};

use super::{Cloud, Fault, Ready, text};

/// Of the providers, as the simulator's models have them.
const APP: &str = "2026-07-01";
const NETWORK: &str = "2024-06-01";

pub struct Azure {
    ready: Ready,
    /// `/subscriptions/…/resourceGroups/…/providers`
    group: String,
}

impl Azure {
    pub fn new(ready: Ready) -> Self {
        let (subscription, group) = (ready.text("subscription"), ready.text("resource_group"));
        let group = format!("/subscriptions/{subscription}/resourceGroups/{group}/providers");
        Self { ready, group }
    }

    fn all_jobs(&self) -> Vec<Value> {
        self.ready.list(&format!("{}/Microsoft.App/jobs?api-version={APP}", self.group), "value")
    }

    fn sets(&self, kind: &str) -> Vec<Value> {
        self.ready.list(&format!("{}/{kind}?api-version={NETWORK}", self.zones_path()), "value")
    }
}

impl Cloud for Azure {
    fn jobs(&self) -> Vec<String> {
        let mut names: Vec<String> = self.all_jobs().iter().map(|job| text(job, "name")).collect();
        names.sort_unstable();
        names
    }

    fn job_sizes(&self) -> Vec<usize> {
        let containers =
            |job: &Value| job["properties"]["template"]["containers"].as_array().map_or(0, Vec::len);
        let mut sizes: Vec<usize> = self.all_jobs().iter().map(containers).collect();
        sizes.sort_unstable();
        sizes
    }

    fn cancel_jobs(&self) {
        for job in self.all_jobs() {
            let stop = format!("{}/stop?api-version={APP}", text(&job, "id"));
            self.ready.call("POST", &stop, &json!({}));
        }
    }

    fn has_logged(&self, line: &str) -> bool {
        let path = format!("/v1/workspaces/{}/query", self.ready.text("workspace"));
        let query = format!("ContainerAppConsoleLogs_CL | where Log_s == \"{line}\" | take 1");
        let answer = self.ready.call("POST", &path, &json!({ "query": query }));
        answer["tables"][0]["rows"].as_array().is_some_and(|rows| !rows.is_empty())
    }

    fn zones(&self) -> Vec<String> {
        self.sets("TXT").iter().map(|set| text(set, "name")).collect()
    }

    fn records(&self, zone: &str) -> Vec<String> {
        // The network's own label: the domain that the daemon wants for it lies within the operator's zone.
        let below = format!(".{}", zone.trim_start_matches("sockerless-net-"));
        let line = |set: &Value| {
            let name = text(set, "name");
            let properties = &set["properties"];
            let addresses = properties["aRecords"].as_array().into_iter().flatten();
            let addresses: Vec<String> = addresses.map(|record| text(record, "ipv4Address")).collect();
            Some(format!("{} {} {}", name.strip_suffix(&below)?, properties["ttl"], addresses.join(" ")))
        };
        let mut lines: Vec<String> = self.sets("A").iter().filter_map(line).collect();
        lines.sort_unstable();
        lines
    }

    fn fault(&self, fault: &Fault<'_>) -> Value {
        let Fault { method, path, code, message, times, lost } = fault;
        let (status, code) = match *code {
            "PERMISSION_DENIED" => (403, "AuthorizationFailed"),
            "INTERNAL" => (500, "InternalServerError"),
            other => panic!("no word of Azure's for {other}"),
        };
        json!({
            "method": method, "path": path, "status": status, "code": code, "message": message, "times": times, "lost": lost,
        })
    }

    fn zones_path(&self) -> String {
        format!("{}/Microsoft.Network/privateDnsZones/{}", self.group, self.ready.text("dns_zone"))
    }

    fn makes_zones_by(&self) -> &'static str {
        "PUT"
    }

    fn configuration(&self, token: &str) -> String {
        let text = |name| self.ready.text(name);
        let (http, account) = (text("http"), text("storage_account"));
        format!(
            "[simulator]\nmode = 'off'\n[credentials.azure-arm]\nkind = 'bearer'\ntoken = '{token}'\n\
             [credentials.azure-logs]\nkind = 'bearer'\ntoken = '{token}'\n\
             [credentials.azure-storage]\nkind = 'shared-key'\naccount = '{account}'\nkey = '{}'\n\
             [backends.aca]\nsubscription_id = '{}'\nresource_group = '{}'\nenvironment = '{}'\nlocation = '{}'\n\
             storage_account = '{account}'\nlog_analytics_workspace = '{}'\nlog_lag = '1'\ndns_zone = '{}'\n\
             arm_endpoint = '{http}'\nfiles_endpoint = '{http}/files/{account}'\nlogs_endpoint = '{http}'\n",
            text("storage_key"),
            text("subscription"),
            text("resource_group"),
            text("environment"),
            text("location"),
            text("workspace"),
            text("dns_zone"),
        )
    }

    fn issued_token(&self) -> String {
        let text = |name| self.ready.text(name);
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope=https%3A%2F%2Fmanagement.azure.com%2F.default",
            text("client_id"),
            text("client_secret")
        );
        self.ready.login(&format!("/{}/oauth2/v2.0/token", text("tenant")), &form)
    }

    fn expired(&self) -> &'static str {
        "The access token expiry UTC time"
    }

    fn ready(&self) -> &Ready {
        &self.ready
    }
}

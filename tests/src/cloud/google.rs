//! Google's Cloud Run and Cloud DNS.

use serde_json::{Value, json};

use super::{Cloud, Ready, text};

const ZONES: &str = "/dns/v1/projects/sim-project/managedZones";

pub struct Google(Ready);

impl Google {
    pub fn new(ready: Ready) -> Self {
        Self(ready)
    }

    fn all_jobs(&self) -> Vec<Value> {
        self.0.list("/v2/projects/sim-project/locations/us-central1/jobs", "jobs")
    }
}

impl Cloud for Google {
    fn jobs(&self) -> Vec<String> {
        let mut names: Vec<String> = self.all_jobs().iter().map(|job| text(job, "name")).collect();
        names.sort_unstable();
        names
    }

    fn job_sizes(&self) -> Vec<usize> {
        let containers =
            |job: &Value| job["template"]["template"]["containers"].as_array().map_or(0, Vec::len);
        let mut sizes: Vec<usize> = self.all_jobs().iter().map(containers).collect();
        sizes.sort_unstable();
        sizes
    }

    fn cancel_jobs(&self) {
        for job in self.jobs() {
            for execution in self.0.list(&format!("/v2/{job}/executions"), "executions") {
                self.0.call("POST", &format!("/v2/{}:cancel", text(&execution, "name")), &json!({}));
            }
        }
    }

    fn has_logged(&self, line: &str) -> bool {
        let asked = json!({
            "resourceNames": ["projects/sim-project"], "orderBy": "timestamp desc", "pageSize": 1000,
            "filter": "resource.type=\"cloud_run_job\"",
        });
        let answer = self.0.call("POST", "/v2/entries:list", &asked);
        answer["entries"].as_array().is_some_and(|all| all.iter().any(|entry| entry["textPayload"] == line))
    }

    fn zones(&self) -> Vec<String> {
        self.0.list(ZONES, "managedZones").iter().map(|zone| text(zone, "name")).collect()
    }

    fn records(&self, zone: &str) -> Vec<String> {
        let sets = self.0.list(&format!("{ZONES}/{zone}/rrsets"), "rrsets");
        let line = |set: &Value| {
            let name = text(set, "name");
            let data = set["rrdatas"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let data = data.collect::<Vec<_>>().join(" ");
            format!("{} {} {data}", name.split('.').next().unwrap_or_default(), set["ttl"])
        };
        let mut lines: Vec<String> = sets.iter().filter(|set| set["type"] == "A").map(line).collect();
        lines.sort_unstable();
        lines
    }

    fn zones_path(&self) -> String {
        ZONES.to_owned()
    }

    fn makes_zones_by(&self) -> &'static str {
        "POST"
    }

    fn configuration(&self, token: &str) -> String {
        let endpoints: String = ["run", "storage", "logging", "dns", "artifact_registry"]
            .map(|api| format!("{api}_endpoint = '{}'\n", self.0.base()))
            .concat();
        format!(
            "[simulator]\nmode = 'off'\n[credentials.google]\nkind = 'bearer'\ntoken = '{token}'\n\
             [backends.cloudrun]\nproject = '{}'\nregion = '{}'\n{endpoints}",
            self.0.text("project"),
            self.0.text("region")
        )
    }

    fn issued_token(&self) -> String {
        self.0.login("/token", "grant_type=refresh_token&refresh_token=any")
    }

    fn expired(&self) -> &'static str {
        "Request had invalid authentication credentials."
    }

    fn ready(&self) -> &Ready {
        &self.0
    }
}

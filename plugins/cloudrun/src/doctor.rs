//! Looks at the account with read-only calls.

use serde_json::json;
use sockerless_plugin_sdk::{Error, ErrorCode, Request, Response, plugin::Check, url};

use crate::{CloudRun, google};

/// All checks. Without a credential the others are skipped.
pub fn checks(plugin: &CloudRun) -> Vec<Check> {
    let credential = match plugin.host.credential(google::CREDENTIAL) {
        Ok(info) => {
            let whom = info.principal.map_or_else(String::new, |principal| format!(", as {principal}"));
            Check::pass("credentials", format!("{}{whom}", info.source))
        }
        Err(error) => {
            let mut checks = vec![Check::fail(
                "credentials",
                error.message,
                "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to a key file",
            )];
            let rest = ["cloud run", "bucket", "repository", "logging", "zones"];
            checks.extend(rest.map(|name| Check::skip(name, "there is no credential to ask with")));
            return checks;
        }
    };
    vec![credential, run(plugin), bucket(plugin), repository(plugin), logging(plugin), dns(plugin)]
}

fn run(plugin: &CloudRun) -> Check {
    let config = &plugin.config;
    let url = config.run_url(&format!("{}/jobs", config.parent()));
    match ask(plugin, "listing jobs", Request::get(url).query("pageSize", "1")) {
        Ok(_) => {
            Check::pass("cloud run", format!("jobs of {} in {} can be listed", config.project, config.region))
        }
        Err(error) => {
            let remedy = match error.code {
                ErrorCode::NotFound => {
                    "check `project` (SOCKERLESS_GCR_PROJECT) and `region` (SOCKERLESS_GCR_REGION)".into()
                }
                _ => remedy(&error, &config.project, "run.googleapis.com", "roles/run.developer"),
            };
            Check::fail("cloud run", error.message, remedy)
        }
    }
}

fn bucket(plugin: &CloudRun) -> Check {
    let config = &plugin.config;
    match ask(plugin, "asking for the bucket", Request::get(plugin.bucket())) {
        Ok(_) => Check::pass("bucket", format!("gs://{} is there", config.bucket)),
        Err(error) if error.code == ErrorCode::NotFound => Check::warn(
            "bucket",
            format!("gs://{} does not exist; the first container will make it", config.bucket),
            format!(
                "to make it yourself: gcloud storage buckets create gs://{} --project={} --location={}",
                config.bucket, config.project, config.region
            ),
        ),
        Err(error) => {
            let remedy = remedy(&error, &config.project, "storage.googleapis.com", "roles/storage.admin");
            Check::fail(
                "bucket",
                error.message,
                format!("{remedy}; if the bucket is another project's, set `bucket` (SOCKERLESS_GCR_BUCKET)"),
            )
        }
    }
}

fn repository(plugin: &CloudRun) -> Check {
    let config = &plugin.config;
    let Some(repository) = &config.repository else {
        return Check::warn(
            "repository",
            "none is set, so only images of Docker Hub and Artifact Registry can run",
            "set `repository` (SOCKERLESS_GCR_REPOSITORY) to REGION-docker.pkg.dev/PROJECT/REPOSITORY",
        );
    };
    let Some((location, project, name)) = artifact_registry(repository) else {
        return Check::skip("repository", format!("{repository} is not in Artifact Registry"));
    };
    let resource = format!(
        "projects/{}/locations/{}/repositories/{}",
        url::encode(project),
        url::encode(location),
        url::encode(name)
    );
    let request = Request::get(format!("{}/v1/{resource}", config.artifact_registry));
    match ask(plugin, "asking for the repository", request)
        .and_then(|answer| answer.json::<serde_json::Value>())
    {
        Ok(found) if found["format"].as_str().is_some_and(|format| format != "DOCKER") => Check::fail(
            "repository",
            format!("{repository} holds {} packages, no images", found["format"]),
            "set `repository` to one with the format docker",
        ),
        Ok(_) => Check::pass("repository", format!("{repository} is there")),
        Err(error) if error.code == ErrorCode::NotFound => Check::fail(
            "repository",
            error.message,
            format!(
                "gcloud artifacts repositories create {name} --project={project} --location={location} --repository-format=docker"
            ),
        ),
        Err(error) => {
            let remedy =
                remedy(&error, project, "artifactregistry.googleapis.com", "roles/artifactregistry.writer");
            Check::fail("repository", error.message, remedy)
        }
    }
}

fn logging(plugin: &CloudRun) -> Check {
    let config = &plugin.config;
    let body = json!({
        "resourceNames": [format!("projects/{}", config.project)],
        "filter": "resource.type=\"cloud_run_job\"",
        "pageSize": 1,
    });
    match ask(
        plugin,
        "reading the log",
        Request::post(format!("{}/v2/entries:list", config.logging)).json(&body),
    ) {
        Ok(_) => Check::pass("logging", "the log of jobs can be read"),
        Err(error) if error.code == ErrorCode::QuotaExceeded => Check::warn(
            "logging",
            error.message,
            "60 readings of the log are free for a project in a minute; try again later",
        ),
        Err(error) => {
            let remedy = remedy(&error, &config.project, "logging.googleapis.com", "roles/logging.viewer");
            Check::fail("logging", error.message, remedy)
        }
    }
}

fn dns(plugin: &CloudRun) -> Check {
    let config = &plugin.config;
    let Some(network) = &config.dns_network else {
        return Check::skip("zones", "zones are switched off (`dns`, SOCKERLESS_GCR_DNS)");
    };
    match ask(plugin, "listing zones", Request::get(plugin.zones_url()).query("maxResults", "1")) {
        Ok(_) => {
            let network = network.rsplit('/').next().unwrap_or(network);
            Check::pass(
                "zones",
                format!("zones can be listed; those of networks are seen from the VPC {network}"),
            )
        }
        Err(error) => {
            let remedy = remedy(&error, &config.project, "dns.googleapis.com", "roles/dns.admin");
            let remedy = format!("{remedy}; or switch zones off: `dns` (SOCKERLESS_GCR_DNS) = off");
            Check::fail("zones", error.message, remedy)
        }
    }
}

fn ask(plugin: &CloudRun, doing: &str, request: Request) -> Result<Response, Error> {
    let answer = plugin.send(request)?;
    plugin.check(doing, &answer)?;
    Ok(answer)
}

/// What helps against the usual refusals.
fn remedy(error: &Error, project: &str, api: &str, role: &str) -> String {
    match error.code {
        ErrorCode::PermissionDenied => {
            format!(
                "give the principal {role} in {project}, and switch the API on: gcloud services enable {api} --project={project}"
            )
        }
        ErrorCode::Unauthenticated => "renew the credential: gcloud auth application-default login".into(),
        ErrorCode::Unavailable | ErrorCode::DeadlineExceeded => {
            format!("check the way to {api}: network, proxy, and the endpoint settings")
        }
        _ => format!(
            "see Google's message, and whether the API is on: gcloud services enable {api} --project={project}"
        ),
    }
}

/// Location, project and name of `LOCATION-docker.pkg.dev/PROJECT/NAME`.
fn artifact_registry(repository: &str) -> Option<(&str, &str, &str)> {
    let mut parts = repository.split('/');
    let location = parts.next()?.strip_suffix("-docker.pkg.dev")?;
    Some((location, parts.next()?, parts.next()?))
}

#[cfg(test)]
mod tests {
    use sockerless_plugin_sdk::{plugin::Verdict, testing::response};

    use super::*;
    use crate::testing::{host, on, plugin};

    fn verdicts(checks: &[Check]) -> Vec<(&str, Verdict)> {
        checks.iter().map(|check| (check.name.as_str(), check.verdict)).collect()
    }

    #[test]
    fn a_good_account_passes_and_warns_of_what_is_not_set() {
        let (plugin, _) = plugin(|_| response(200, "{}"));
        let checks = checks(&plugin);
        assert_eq!(
            verdicts(&checks),
            [
                ("credentials", Verdict::Pass),
                ("cloud run", Verdict::Pass),
                ("bucket", Verdict::Pass),
                ("repository", Verdict::Warn),
                ("logging", Verdict::Pass),
                ("zones", Verdict::Pass),
            ]
        );
    }

    #[test]
    fn each_refusal_fails_its_own_check_with_googles_words_and_a_remedy() {
        let host = host().setting("repository", "us-docker.pkg.dev/proj/r").answering(|request| {
            if request.url.contains("/repositories/") {
                return response(
                    404,
                    json!({"error": {"code": 404, "message": "no repository", "status": "NOT_FOUND"}}),
                );
            }
            response(
                403,
                json!({"error": {"code": 403, "message": "denied to you", "status": "PERMISSION_DENIED"}}),
            )
        });
        let (plugin, _) = on(host);
        for check in &checks(&plugin)[1..] {
            assert_eq!(check.verdict, Verdict::Fail, "{}", check.name);
            let words = if check.name == "repository" { "no repository" } else { "denied to you" };
            assert!(check.finding.contains(words) && !check.remedy.is_empty(), "{check:?}");
        }
    }

    #[test]
    fn without_a_credential_nothing_is_asked() {
        let (plugin, host) = on(host().without_credential());
        let checks = checks(&plugin);
        assert_eq!(checks[0].verdict, Verdict::Fail);
        assert!(checks[1..].iter().all(|check| check.verdict == Verdict::Skip));
        assert!(host.requests().is_empty());
    }
}

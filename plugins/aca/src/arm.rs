//! What all of Azure Resource Manager shares: addresses, versions, errors, operations that last, pages.

use serde::{Deserialize, de::DeserializeOwned};
use sockerless_plugin_sdk::{Error, ErrorCode, Request, Response, Result};

use crate::{ContainerApps, settings::Config};

/// Versions of the resource providers, as the official SDKs speak them.
const VERSIONS: [(&str, &str); 3] = [
    ("/providers/Microsoft.App/", "2026-07-01"),
    ("/providers/Microsoft.Storage/", "2026-09-01"),
    ("/providers/Microsoft.Network/", "2024-06-01"),
];

/// An error's answer. Some services leave the envelope out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Envelope {
    error: Option<Fault>,
    code: String,
    message: String,
}

/// `ErrorDetail` of the common types.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Fault {
    /// `ResourceNotFound`.
    pub code: String,
    /// A sentence.
    pub message: String,
    /// What lies behind it.
    pub details: Option<Vec<Fault>>,
    /// The same of Log Analytics, one in the other.
    #[serde(rename = "innererror")]
    pub inner: Option<Box<Fault>>,
}

/// A page of a listing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// What is on it.
    #[serde(default = "Vec::new")]
    pub value: Vec<T>,
    /// The address of the next.
    pub next_link: Option<String>,
}

impl Fault {
    /// The message, with what lies behind it as far as that says more.
    pub fn sentence(&self) -> String {
        let mut text = self.message.trim().to_owned();
        for detail in self.details.iter().flatten().chain(self.inner.as_deref()) {
            let more = detail.sentence();
            if !more.is_empty() && !text.contains(&more) {
                text = if text.is_empty() { more } else { format!("{text} ({more})") };
            }
        }
        text
    }
}

impl Config {
    /// The address of a resource, by its id, in the provider's version.
    pub fn url(&self, id: &str) -> String {
        let version =
            VERSIONS.iter().find(|(provider, _)| id.contains(provider)).map_or("", |(_, version)| version);
        format!("{}{id}?api-version={version}", self.arm)
    }

    /// The id of a resource in the group.
    pub fn id(&self, kind: &str, name: &str) -> String {
        format!("{}/providers/{kind}/{name}", self.group)
    }

    /// An address that ARM gave, an operation or a next page, as it is spelt in the settings. Followed only if it is ARM's
    /// own, so that no token goes astray; that is told by the scheme, the host in small letters, and the port, which ARM
    /// is seen to write out (`https://management.azure.com:443/…`).
    pub fn follow(&self, url: &str) -> Option<String> {
        let (given, path) = origin(url)?;
        let (own, base) = origin(&self.arm)?;
        let rest = path.strip_prefix(base.trim_end_matches('/'))?;
        (given == own && rest.starts_with('/')).then(|| format!("{}{rest}", self.arm))
    }
}

/// Scheme, host and port of an address, and what follows. None for what is no address of HTTP.
fn origin(url: &str) -> Option<((&str, String, u16), &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let (scheme, standard) = match scheme.to_ascii_lowercase().as_str() {
        "https" => ("https", 443),
        "http" => ("http", 80),
        _ => return None,
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // The last colon parts the port, unless it is of an IPv6 address in brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, standard),
    };
    Some(((scheme, host.to_ascii_lowercase(), port), path))
}

/// A page, from a cursor or from the beginning.
///
/// # Errors
/// `invalid-argument` for a cursor of somebody else; the provider's.
pub fn page<T: DeserializeOwned>(
    plugin: &ContainerApps,
    doing: &str,
    first: Request,
    cursor: Option<&str>,
) -> Result<Page<T>> {
    let request = match cursor {
        None => first,
        Some(cursor) => Request::get(
            plugin
                .config
                .follow(cursor)
                .ok_or_else(|| Error::invalid(format!("{doing}: this is no cursor of this plugin")))?,
        ),
    };
    let answer = plugin.send(request)?;
    plugin.check(doing, &answer)?;
    answer.json()
}

/// The error of an answer that is no success. Keeps Azure's own words.
pub fn error(doing: &str, response: &Response, now: u64) -> Error {
    let fault = fault(response);
    let sentence = fault.sentence();
    let words = if sentence.is_empty() { response.quote() } else { sentence };
    let name = if fault.code.is_empty() { String::new() } else { format!(" {}", fault.code) };
    Error {
        code: code(&fault.code, response.status),
        message: format!("{doing}: {words} (HTTP {}{name})", response.status),
        provider_status: Some(response.status),
        retry_after_ms: response.retry_after_ms(now),
    }
}

/// What an answer says went wrong.
pub fn fault(response: &Response) -> Fault {
    let envelope: Envelope = serde_json::from_slice(&response.body).unwrap_or_default();
    envelope.error.unwrap_or(Fault { code: envelope.code, message: envelope.message, ..Fault::default() })
}

fn code(name: &str, status: u16) -> ErrorCode {
    // Where the name says more than the status.
    let is = |words: &[&str]| words.iter().any(|word| name.contains(word));
    match status {
        409 if is(&["OperationInProgress", "InProgress", "BeingDeleted", "NotProvisioned"]) => {
            ErrorCode::NotReady
        }
        400 | 403 | 409 if is(&["Quota", "MaxNumberOf", "LimitExceeded"]) => ErrorCode::QuotaExceeded,
        status => ErrorCode::from_status(status),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sockerless_plugin_sdk::testing::response;

    use super::*;
    use crate::testing::{GROUP, config, refused, with};

    #[test]
    fn each_provider_is_spoken_to_in_its_version() {
        let config = config();
        let job = config.url(&config.id("Microsoft.App/jobs", "j"));
        assert_eq!(
            job,
            format!(
                "https://management.azure.com{GROUP}/providers/Microsoft.App/jobs/j?api-version=2026-07-01"
            )
        );
        assert!(config.url(&config.account).ends_with("storageAccounts/acc?api-version=2026-09-01"));
    }

    #[test]
    fn an_error_keeps_azures_words_and_its_wait() {
        let body = json!({"error": {"code": "InvalidTemplate", "message": "Bad.", "details": [{"code": "x", "message": "cpu is odd"}]}});
        let answer = error("creating the job a", &response(400, body), 0);
        assert_eq!(answer.code, ErrorCode::InvalidArgument);
        assert_eq!(answer.message, "creating the job a: Bad. (cpu is odd) (HTTP 400 InvalidTemplate)");
        let slow = with(refused(429, "TooManyRequests"), "retry-after", "17");
        let slow = error("x", &slow, 0);
        assert_eq!((slow.code, slow.retry_after_ms), (ErrorCode::QuotaExceeded, Some(17_000)));
        let plain = error("x", &response(502, "bad gateway"), 0);
        assert_eq!(
            (plain.code, plain.message.as_str()),
            (ErrorCode::Unavailable, "x: bad gateway (HTTP 502)")
        );
        let nested = json!({"error": {"code": "BadArgumentError", "message": "Odd.", "innererror":
            {"code": "SemanticError", "message": "Wrong.", "innererror": {"code": "SEM0100", "message": "No table X"}}}});
        let nested = error("x", &response(400, nested), 0);
        assert_eq!(nested.message, "x: Odd. (Wrong. (No table X)) (HTTP 400 BadArgumentError)");
        let bare = error("x", &response(404, json!({"code": "NotFound", "message": "none"})), 0);
        assert_eq!(bare.message, "x: none (HTTP 404 NotFound)");
    }

    #[test]
    fn what_is_in_progress_is_not_ready_and_a_quota_is_a_quota() {
        let of = |status, name| error("x", &refused(status, name), 0).code;
        assert_eq!(of(409, "ContainerAppOperationInProgress"), ErrorCode::NotReady);
        assert_eq!(of(409, "Conflict"), ErrorCode::Conflict);
        assert_eq!(of(400, "MaxNumberOfJobsReached"), ErrorCode::QuotaExceeded);
        assert_eq!(of(403, "AuthorizationFailed"), ErrorCode::PermissionDenied);
    }

    #[test]
    fn only_resource_managers_own_addresses_are_followed() {
        let config = config();
        let own = "https://management.azure.com/subscriptions/x?y";
        for url in [
            own,
            "https://management.azure.com:443/subscriptions/x?y",
            "HTTPS://Management.Azure.com/subscriptions/x?y",
        ] {
            assert_eq!(config.follow(url).as_deref(), Some(own), "{url}");
        }
        for url in [
            "https://management.azure.com.evil.test/x",
            "https://management.azure.com@evil.test/x",
            "https://management.azure.com:443@evil.test/x",
            "https://management.azure.com:444/x",
            "https://management.azure.com:x/x",
            "http://management.azure.com/x",
            "https://evil.test/",
            "https://management.azure.com",
            "/subscriptions/x",
        ] {
            assert_eq!(config.follow(url), None, "{url}");
        }
    }
}

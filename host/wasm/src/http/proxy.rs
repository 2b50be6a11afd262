//! Proxies on the way to the clouds.

use std::sync::Arc;

use hyper_util::client::proxy::matcher::Matcher;
use sockerless_ports::backend::{Error, ErrorCode};
use url::{Host, Url};

/// Which requests go through a proxy; the default sends none.
///
/// A proxy resolves names itself. So for what goes through one, the check that a name stands for no address inside a
/// private network cannot be made here: the grant of the host's name is all that holds, and where the proxy connects is
/// its own affair. For everything else the check holds as ever: addresses in URLs are checked in any case, and loopback
/// is never asked of a proxy.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Option<Arc<Rules>>);

#[derive(Debug)]
struct Rules {
    /// URLs, with user and password where the proxy wants them.
    http: String,
    https: String,
    /// Hosts that are reached without.
    no: String,
    matcher: Matcher,
}

impl Proxies {
    /// Reads `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, or the same in lower case, with curl's meaning, as
    /// the daemon's other clients (registries, tokens) read them. There is no setting for it in the configuration file,
    /// since the library that fetches tokens reads the environment alone.
    ///
    /// # Errors
    /// `InvalidArgument` for a proxy that is no URL, or of another kind than HTTP: going around a proxy that the operator
    /// wants is no choice of ours.
    pub fn from_env() -> Result<Self, Error> {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        // A server under CGI finds a client's header `Proxy` there.
        if variable("REQUEST_METHOD").is_some() {
            return Ok(Self::default());
        }
        let either =
            |name: &str| variable(name).or_else(|| variable(&name.to_lowercase())).unwrap_or_default();
        let all = either("ALL_PROXY");
        let or_all = |value: String| if value.is_empty() { all.clone() } else { value };
        Self::new(&or_all(either("HTTP_PROXY")), &or_all(either("HTTPS_PROXY")), &either("NO_PROXY"))
    }

    /// The proxies for `http:` and `https:` destinations, empty for none, and the hosts, domains, addresses and networks,
    /// with commas between, that are reached without.
    ///
    /// # Errors
    /// As [`Self::from_env`].
    pub fn new(http: &str, https: &str, no: &str) -> Result<Self, Error> {
        if http.is_empty() && https.is_empty() {
            return Ok(Self::default());
        }
        let (http, https) = (read(http)?, read(https)?);
        let no = no.to_owned();
        let matcher = Matcher::builder().http(http.clone()).https(https.clone()).no(no.clone()).build();
        Ok(Self(Some(Arc::new(Rules { http, https, no, matcher }))))
    }

    /// The URLs for `http:` and `https:` destinations, with passwords, and the hosts that are reached without; empty for none.
    pub fn texts(&self) -> [String; 3] {
        self.0
            .as_ref()
            .map(|rules| [&rules.http, &rules.https, &rules.no].map(Clone::clone))
            .unwrap_or_default()
    }

    /// The proxy for a destination.
    pub(crate) fn of(&self, url: &Url) -> Option<&str> {
        let rules = self.0.as_ref()?;
        if url.host().is_none_or(|host| is_loopback(&host)) {
            return None;
        }
        rules.matcher.intercept(&url.as_str().parse().ok()?)?;
        Some(if url.scheme() == "http" { &rules.http } else { &rules.https })
    }
}

fn read(text: &str) -> Result<String, Error> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(text),
        Ok(url) => Err(refused(format!("a proxy of the kind {}", url.scheme()))),
        // The text may hold a password.
        Err(error) => Err(refused(format!("a proxy whose URL cannot be read ({error})"))),
    }
}

fn refused(what: String) -> Error {
    let message = format!(
        "the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY) names {what}; http:// and https:// work"
    );
    Error::new(ErrorCode::InvalidArgument, message)
}

/// A proxy's name for messages: without user and password.
pub(crate) fn shown(proxy: &str) -> String {
    Url::parse(proxy).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.to_canonical().is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn of(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.of(&Url::parse(url).unwrap()).map(str::to_owned)
    }

    fn from(variables: &[(&str, &str)]) -> Proxies {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        Proxies::read(|name| variables.get(name).map(ToString::to_string)).unwrap()
    }

    #[test]
    fn the_environment_is_read_as_curl_reads_it() {
        let proxies = from(&[
            ("HTTPS_PROXY", "http://user:secret@proxy.lan:3128"),
            ("http_proxy", "plain.lan:80"),
            ("NO_PROXY", "example.com, 10.0.0.0/8"),
        ]);
        let https = "http://user:secret@proxy.lan:3128";
        for (url, proxy) in [
            ("https://run.googleapis.com/v2/x", Some(https)),
            ("http://run.googleapis.com/", Some("http://plain.lan:80")),
            ("https://example.com/", None),
            ("https://a.example.com/", None),
            ("https://notexample.com/", Some(https)),
            ("https://10.1.2.3/", None),
            ("https://11.1.2.3/", Some(https)),
        ] {
            assert_eq!(of(&proxies, url).as_deref(), proxy, "{url}");
        }
        assert_eq!(shown(https), "http://proxy.lan:3128");
        assert_eq!(proxies.texts(), ["http://plain.lan:80", https, "example.com, 10.0.0.0/8"]);
        let all = from(&[("ALL_PROXY", "http://all.lan"), ("HTTP_PROXY", "http://http.lan")]);
        assert_eq!(of(&all, "https://a.example/").as_deref(), Some("http://all.lan"));
        assert_eq!(of(&all, "http://a.example/").as_deref(), Some("http://http.lan"));
    }

    #[test]
    fn without_variables_or_under_cgi_there_is_no_proxy() {
        assert_eq!(of(&from(&[]), "https://a.example/"), None);
        let cgi = from(&[("HTTP_PROXY", "http://evil.lan"), ("REQUEST_METHOD", "GET")]);
        assert_eq!(of(&cgi, "http://a.example/"), None);
    }

    #[test]
    fn loopback_is_never_asked_of_a_proxy() {
        let proxies = Proxies::new("http://p.lan", "http://p.lan", "").unwrap();
        for url in
            ["https://localhost/", "http://127.0.0.1:80/", "http://[::1]/", "http://[::ffff:127.0.0.1]/"]
        {
            assert_eq!(of(&proxies, url), None, "{url}");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error_that_tells_no_password() {
        for proxy in ["socks5://user:secret@proxy.lan", "http://user:secret@:99999", "http://"] {
            let error = Proxies::new("", proxy, "").unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidArgument);
            assert!(!error.message.contains("secret"), "{error}");
        }
    }
}

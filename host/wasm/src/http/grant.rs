//! Where a plugin may go, and with which credentials.

use std::collections::BTreeSet;

use sockerless_ports::backend::{Error, ErrorCode, HttpGrant};
use url::Url;

use crate::settings::Settings;

mod shown;

/// The effective grant: what the manifest asks *and* the operator gives. The default grants nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grants {
    asked: Vec<Rule>,
    /// None when the operator gives what is asked.
    given: Option<Vec<Rule>>,
}

/// What a granted request may carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admission {
    /// The credentials that may go to this host.
    pub(crate) credentials: BTreeSet<String>,
    /// The operator named the host in a setting, so it may be a private address.
    pub(crate) operator_named: bool,
}

#[derive(Debug, Clone)]
struct Rule {
    host: HostPattern,
    credentials: BTreeSet<String>,
    operator_named: bool,
}

#[derive(Debug, Clone)]
enum HostPattern {
    /// One host, by HTTPS on its usual port.
    Host(String),
    /// All hosts below a domain, by HTTPS on their usual port.
    Below(String),
    /// The origin of the URL in a setting.
    Origin { scheme: String, host: String, port: Option<u16> },
}

impl Grants {
    /// Intersects what a manifest asks with what the operator gives (none: all of it).
    ///
    /// # Errors
    /// `InvalidArgument` for a pattern or a setting's URL that cannot be read.
    pub(crate) fn effective(
        plugin: &str,
        asked: &[HttpGrant],
        given: Option<&[HttpGrant]>,
        settings: &Settings,
    ) -> Result<Self, Error> {
        let read = |grants: &[HttpGrant]| -> Result<Vec<Rule>, Error> {
            let rules: Result<Vec<_>, String> =
                grants.iter().filter_map(|grant| Rule::read(grant, settings).transpose()).collect();
            rules.map_err(|what| Error::new(ErrorCode::InvalidArgument, format!("plugin {plugin}: {what}")))
        };
        // A setting in the operator's grant means the operator's value: the manifest's default could be any host.
        let named = |grant: &&HttpGrant| {
            grant.host.strip_prefix("setting:").is_none_or(|setting| settings.is_given(setting))
        };
        let given = given.map(|given| given.iter().filter(named).cloned().collect::<Vec<_>>());
        Ok(Self { asked: read(asked)?, given: given.as_deref().map(read).transpose()? })
    }

    /// The same for a component's successor: where the operator has given no grant, no more than the first one asked.
    pub(crate) fn at_most(self, first: &Self) -> Self {
        Self { given: self.given.or_else(|| Some(first.asked.clone())), ..self }
    }

    /// What a request to this URL may carry; none when it may not be sent.
    pub(crate) fn admit(&self, url: &Url) -> Option<Admission> {
        let mut admission = admit(&self.asked, url)?;
        if let Some(given) = &self.given {
            let given = admit(given, url)?;
            admission.credentials.retain(|name| given.credentials.contains(name));
        }
        Some(admission)
    }

    /// Whether some host may receive the credential.
    pub(crate) fn binds(&self, credential: &str) -> bool {
        let binds = |rules: &[Rule]| rules.iter().any(|rule| rule.credentials.contains(credential));
        binds(&self.asked) && self.given.as_deref().is_none_or(binds)
    }
}

fn admit(rules: &[Rule], url: &Url) -> Option<Admission> {
    let mut matching = rules.iter().filter(|rule| rule.host.matches(url)).peekable();
    matching.peek()?;
    let mut admission = Admission { credentials: BTreeSet::new(), operator_named: false };
    for rule in matching {
        admission.credentials.extend(rule.credentials.iter().cloned());
        admission.operator_named |= rule.operator_named;
    }
    Some(admission)
}

impl Rule {
    /// None for a setting without a value: it stands for nothing.
    fn read(grant: &HttpGrant, settings: &Settings) -> Result<Option<Self>, String> {
        let credentials = grant.credentials.iter().cloned().collect();
        let Some(name) = grant.host.strip_prefix("setting:") else {
            let host = HostPattern::read(&grant.host)?;
            return Ok(Some(Self { host, credentials, operator_named: false }));
        };
        let Some(value) = settings.get(name).filter(|value| !value.is_empty()) else { return Ok(None) };
        let host = HostPattern::origin(value)
            .ok_or_else(|| format!("setting {name}: {value:?} is no URL of the form https://host[:port]"))?;
        Ok(Some(Self { host, credentials, operator_named: settings.is_given(name) }))
    }
}

impl HostPattern {
    fn read(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "the grant for {text:?} is none of HOST, *.DOMAIN (with at least two labels), setting:NAME"
            )
        };
        let (below, name) = match text.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, text),
        };
        // An asterisk elsewhere would be part of the name, and stand for no host at all.
        let url =
            Url::parse(&format!("https://{name}/")).ok().filter(|_| !name.contains('*')).ok_or_else(bad)?;
        let host = url.host_str().filter(|host| host.eq_ignore_ascii_case(name)).ok_or_else(bad)?;
        match (below, host.contains('.')) {
            (true, false) => Err(bad()),
            (true, true) => Ok(Self::Below(host.to_owned())),
            (false, _) => Ok(Self::Host(host.to_owned())),
        }
    }

    fn origin(text: &str) -> Option<Self> {
        let url = if text.contains("://") {
            Url::parse(text).ok()?
        } else {
            Url::parse(&format!("https://{text}")).ok()?
        };
        let web = matches!(url.scheme(), "http" | "https");
        let host = url.host_str().filter(|_| web)?.to_owned();
        Some(Self::Origin { scheme: url.scheme().to_owned(), host, port: url.port_or_known_default() })
    }

    fn matches(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        let usual = url.scheme() == "https" && url.port_or_known_default() == Some(443);
        match self {
            Self::Host(name) => usual && host == name,
            Self::Below(domain) => {
                usual
                    && host
                        .strip_suffix(domain.as_str())
                        .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            Self::Origin { scheme, host: name, port } => {
                url.scheme() == scheme && host == name && url.port_or_known_default() == *port
            }
        }
    }
}

impl std::fmt::Display for HostPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name),
            Self::Below(domain) => write!(f, "*.{domain}"),
            Self::Origin { scheme, host, port: Some(port) } => write!(f, "{scheme}://{host}:{port}"),
            Self::Origin { scheme, host, port: None } => write!(f, "{scheme}://{host}"),
        }
    }
}

#[cfg(test)]
mod tests;

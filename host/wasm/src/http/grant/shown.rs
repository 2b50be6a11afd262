//! What a grant comes to, for people.

use std::collections::{BTreeMap, BTreeSet};

use sockerless_ports::backend::HttpGrant;

use super::{Grants, HostPattern, Rule};

impl Grants {
    /// What can be reached, and with which credentials: in the manifest's form, but with the addresses in the place of
    /// the settings that name them.
    pub(crate) fn granted(&self) -> Vec<HttpGrant> {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for host in self.asked.iter().flat_map(|asked| self.common(&asked.host)) {
            let mut credentials = credentials(&self.asked, host);
            if let Some(given) = &self.given {
                let given = self::credentials(given, host);
                credentials.retain(|name| given.contains(name));
            }
            found.insert(host.to_string(), credentials);
        }
        let shown = |(host, credentials): (_, BTreeSet<_>)| grant(host, credentials);
        found.into_iter().map(shown).collect()
    }

    /// What the manifest asks beyond that: hosts with all of their credentials, or hosts with those that are missing.
    pub(crate) fn withheld(&self) -> Vec<HttpGrant> {
        let Some(given) = &self.given else { return Vec::new() };
        let missing = |asked: &Rule| {
            let reached = given.iter().any(|rule| asked.host.within(&rule.host));
            let have = credentials(given, &asked.host);
            let lacking: BTreeSet<_> = asked.credentials.difference(&have).cloned().collect();
            (!reached || !lacking.is_empty()).then(|| grant(asked.host.to_string(), lacking))
        };
        self.asked.iter().filter_map(missing).collect()
    }

    /// The hosts that can be reached, for messages.
    pub(crate) fn hosts(&self) -> String {
        let hosts: Vec<String> = self.granted().into_iter().map(|grant| grant.host).collect();
        if hosts.is_empty() { "none".to_owned() } else { hosts.join(", ") }
    }

    /// The part of a pattern that is given.
    fn common<'a>(&'a self, asked: &'a HostPattern) -> Vec<&'a HostPattern> {
        let Some(given) = &self.given else { return vec![asked] };
        let common = |rule: &'a Rule| match &rule.host {
            given if asked.within(given) => Some(asked),
            given if given.within(asked) => Some(given),
            _ => None,
        };
        given.iter().filter_map(common).collect()
    }
}

/// What rules let go to all hosts of a pattern.
fn credentials(rules: &[Rule], host: &HostPattern) -> BTreeSet<String> {
    rules.iter().filter(|rule| host.within(&rule.host)).flat_map(|rule| rule.credentials.clone()).collect()
}

fn grant(host: String, credentials: BTreeSet<String>) -> HttpGrant {
    HttpGrant { host, credentials: credentials.into_iter().collect() }
}

impl HostPattern {
    /// Whether all of its hosts are the other's, too.
    fn within(&self, other: &Self) -> bool {
        let below = |name: &str, domain: &str| {
            name.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        };
        match (self, other) {
            (Self::Below(mine), Self::Below(other)) => mine == other || below(mine, other),
            (Self::Below(_), _) => false,
            (Self::Origin { scheme, host, port }, Self::Origin { scheme: s, host: h, port: p }) => {
                (scheme, host, port) == (s, h, p)
            }
            (Self::Host(name), Self::Origin { scheme, host, port }) => {
                name == host && scheme == "https" && *port == Some(443)
            }
            (Self::Origin { scheme, port, .. }, _) if scheme != "https" || *port != Some(443) => false,
            (Self::Host(name) | Self::Origin { host: name, .. }, Self::Host(host)) => name == host,
            (Self::Host(name) | Self::Origin { host: name, .. }, Self::Below(domain)) => below(name, domain),
        }
    }
}

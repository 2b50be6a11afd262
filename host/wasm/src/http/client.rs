//! The pooled clients that carry all requests of all plugins.

use std::{
    net::{IpAddr, SocketAddr},
    sync::OnceLock,
};

use reqwest::{
    Client, Proxy,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};

use url::Url;

use super::{
    address::is_public,
    proxy::{Proxies, shown},
};
use crate::limits::{CONNECT, HTTP_SILENCE, POOL_IDLE, POOL_PER_HOST};

/// A pool for each way. Connections that were opened to a host of the operator's choice, which may be a private address,
/// are never used for a host that only a manifest names. Made at the first request, since reading the machine's root
/// certificates takes milliseconds.
pub(crate) struct Clients {
    proxies: Proxies,
    public: OnceLock<Client>,
    operator_named: OnceLock<Client>,
    proxied: OnceLock<Client>,
}

/// How a request reaches its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To a public address.
    Public,
    /// To any address: the operator named the host.
    OperatorNamed,
    /// Through a proxy, which resolves the name: the address is not seen here, and unchecked. See [`Proxies`].
    Proxied,
}

impl Clients {
    pub(crate) fn new(proxies: Proxies) -> Self {
        let (public, operator_named, proxied) = Default::default();
        Self { proxies, public, operator_named, proxied }
    }

    /// The proxy that a request to this URL goes through, for messages.
    pub(crate) fn proxy(&self, url: &Url) -> Option<String> {
        self.proxies.of(url).map(shown)
    }

    /// The client for a request to this URL.
    ///
    /// # Errors
    /// The machine's root certificates cannot be read.
    pub(crate) fn get(&self, url: &Url, operator_named: bool) -> Result<&Client, reqwest::Error> {
        let (way, cell) = if self.proxies.of(url).is_some() {
            (Way::Proxied, &self.proxied)
        } else if operator_named {
            (Way::OperatorNamed, &self.operator_named)
        } else {
            (Way::Public, &self.public)
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let client = self.build(way)?;
        Ok(cell.get_or_init(|| client))
    }

    fn build(&self, way: Way) -> Result<Client, reqwest::Error> {
        sockerless_credentials::install_tls_provider();
        let builder = Client::builder()
            .user_agent(concat!("sockerless/", env!("CARGO_PKG_VERSION")))
            .tcp_nodelay(true)
            // The guest gets the redirect itself; where it goes next is held to the grant again.
            .redirect(Policy::none())
            // The environment's proxies are taken here alone, where it is known what they mean for the check.
            .no_proxy()
            .connect_timeout(CONNECT)
            .read_timeout(HTTP_SILENCE)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_PER_HOST);
        match way {
            Way::Public => builder.dns_resolver(PublicOnly),
            Way::OperatorNamed => builder,
            Way::Proxied => {
                let proxies = self.proxies.clone();
                // Only what `get` has found to go through a proxy comes here, so nothing is sent without one.
                builder.proxy(Proxy::custom(move |url| proxies.of(url).map(str::to_owned)))
            }
        }
        .build()
    }
}

/// The host's name stands for no address that may be reached.
#[derive(Debug)]
pub(crate) struct AddressRefused {
    host: String,
    address: IpAddr,
}

impl AddressRefused {
    /// For a URL that carries the address itself; such a host is never resolved.
    pub(crate) fn check(host: url::Host<&str>) -> Result<(), Self> {
        let address: IpAddr = match host {
            url::Host::Domain(_) => return Ok(()),
            url::Host::Ipv4(v4) => v4.into(),
            url::Host::Ipv6(v6) => v6.into(),
        };
        if is_public(address) { Ok(()) } else { Err(Self { host: host.to_string(), address }) }
    }
}

impl std::fmt::Display for AddressRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} is at {}, an address inside a private network; only a host that the operator names \
             in a setting may be there",
            self.host, self.address
        )
    }
}

impl std::error::Error for AddressRefused {}

/// Resolves names with the system's resolver and keeps the public addresses. The connection is
/// made to what was checked: there is no second look-up that could answer otherwise.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> =
                found.iter().copied().filter(|address| is_public(address.ip())).collect();
            match (public.is_empty(), found.first()) {
                (true, Some(inside)) => {
                    Err(Box::new(AddressRefused { host, address: inside.ip() }) as Box<_>)
                }
                _ => Ok(Box::new(public.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_resolves_to_loopback_is_refused_after_resolution() {
        let Err(error) = PublicOnly.resolve("localhost".parse().unwrap()).await else {
            panic!("localhost was resolved to a public address");
        };
        assert!(error.is::<AddressRefused>(), "{error}");
    }

    #[test]
    fn an_address_in_the_url_is_checked_in_every_spelling() {
        for url in
            ["https://127.1/", "https://0x7f000001/", "https://[::ffff:10.0.0.1]/", "https://2130706433/"]
        {
            let url = url::Url::parse(url).unwrap();
            assert!(AddressRefused::check(url.host().unwrap()).is_err(), "{url}");
        }
    }
}

//! The HTTP clients that registries are asked with.

use reqwest::{Client, RequestBuilder, Url};

use crate::tuning::{CONNECT_TIMEOUT, READ_TIMEOUT};

/// Two clients: what listens on this machine is not reached through a proxy.
#[derive(Debug)]
pub(crate) struct Http {
    world: Client,
    local: Client,
}

impl Http {
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        // Another part of the program may have chosen the same provider before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || Client::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT);
        Ok(Self { world: builder().build()?, local: builder().no_proxy().build()? })
    }

    pub(crate) fn get(&self, url: Url) -> RequestBuilder {
        self.client(&url).get(url)
    }

    pub(crate) fn head(&self, url: Url) -> RequestBuilder {
        self.client(&url).head(url)
    }

    fn client(&self, url: &Url) -> &Client {
        let local = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        if local { &self.local } else { &self.world }
    }
}

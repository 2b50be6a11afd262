//! Which registry a login is for.

use sockerless_ports::registry::{ImageError, Login};

use crate::{
    images::Images,
    reference::{DOCKER_HUB, is_registry},
};

impl Images {
    /// See the port. Nothing is remembered: clients send the login along with each pull.
    pub(crate) async fn check_login(&self, login: &Login) -> Result<String, ImageError> {
        let registry = registry_of(&login.serveraddress)?;
        self.client.login(&self.places.base(&registry), login).await
    }
}

/// The `host[:port]` of an address, which may have a scheme and a path; neither counts. No address means Docker Hub, and
/// so does `https://index.docker.io/v1/`, which is what clients call it.
fn registry_of(address: &str) -> Result<String, ImageError> {
    let rest = ["https://", "http://"].iter().find_map(|scheme| address.strip_prefix(scheme));
    let authority = rest.unwrap_or(address).split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host {
        "" if address.is_empty() => Ok(DOCKER_HUB.to_owned()),
        "docker.io" | "index.docker.io" => Ok(DOCKER_HUB.to_owned()),
        host if is_registry(host) => Ok(host.to_owned()),
        _ => Err(ImageError::Invalid(format!("unable to parse server address: {address:?} names no host"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_for_the_host_of_its_address() {
        for (address, registry) in [
            ("", "docker.io"),
            ("docker.io", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("localhost:5000", "localhost:5000"),
            ("http://localhost:5000", "localhost:5000"),
            ("https://reg.example/v2/?x#y", "reg.example"),
            ("https://user@reg.example:443", "reg.example:443"),
            ("[::1]:5000", "[::1]:5000"),
        ] {
            assert_eq!(registry_of(address).unwrap(), registry, "{address}");
        }
    }

    #[test]
    fn an_address_without_a_host_is_refused() {
        for address in ["a b", "https://", "https:///v2/", "reg:port", "a_b!"] {
            assert!(matches!(registry_of(address), Err(ImageError::Invalid(_))), "{address}");
        }
    }
}

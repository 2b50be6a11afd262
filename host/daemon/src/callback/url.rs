//! What `callback_url` may be.

use sockerless_link::PATH;

use crate::{Result, config::CallbackTls};

/// The `callback_url` that switches agents off, also where there would be an address.
pub const NONE: &str = "none";

/// The URL that agents dial: without a path it leads where the daemon awaits them. Another path is for a proxy that leads it
/// there.
pub fn parse(url: &str, tls: CallbackTls) -> Result<String> {
    let Some((scheme @ ("ws" | "wss"), rest)) = url.split_once("://") else {
        return Err(format!(
            "callback_url {url:?}: expected a URL that begins with ws:// or wss://, or the word {NONE}"
        )
        .into());
    };
    if scheme == "ws" && tls == CallbackTls::On {
        return Err(format!("callback_url {url:?} is without TLS, but callback_tls is on: say wss://").into());
    }
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if host_of(place).is_empty() {
        return Err(format!("callback_url {url:?} names no host").into());
    }
    let path = if path.is_empty() || path == "/" { PATH } else { path };
    Ok(format!("{scheme}://{place}{path}"))
}

/// The host in a URL.
pub fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    host_of(rest.split('/').next().unwrap_or(rest))
}

/// Without the port and without an IPv6 address's brackets.
fn host_of(place: &str) -> &str {
    match place.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => place.split(':').next().unwrap_or(place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(url: &str) -> Result<String> {
        parse(url, CallbackTls::Auto)
    }

    #[test]
    fn an_address_without_a_path_leads_to_where_agents_are_awaited() {
        assert_eq!(auto("ws://h:1").unwrap(), "ws://h:1/agent/v1");
        assert_eq!(auto("wss://h/").unwrap(), "wss://h/agent/v1");
        assert_eq!(auto("wss://proxy/mine").unwrap(), "wss://proxy/mine");
    }

    #[test]
    fn what_is_no_such_address_is_refused_by_name() {
        for bad in ["http://h", "h:1", "ws:///agent/v1", "wss://:80", ""] {
            assert!(auto(bad).unwrap_err().to_string().contains("callback_url"), "{bad}");
        }
        assert!(parse("ws://h", CallbackTls::On).unwrap_err().to_string().contains("callback_tls"));
    }

    #[test]
    fn the_host_is_found_with_and_without_a_port() {
        for (url, expected) in
            [("wss://h:1/p", "h"), ("wss://[::1]:2/p", "::1"), ("ws://10.0.0.1", "10.0.0.1")]
        {
            assert_eq!(host(url), expected);
        }
    }
}

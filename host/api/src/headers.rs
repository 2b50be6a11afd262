//! The headers that dockerd puts on every answer.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::version::ApiVersion;

/// Name and value of each.
pub fn common() -> [(&'static str, HeaderValue); 4] {
    [
        ("Api-Version", HeaderValue::from_static("1.51")),
        ("Docker-Experimental", HeaderValue::from_static("false")),
        ("Ostype", HeaderValue::from_static("linux")),
        ("Server", HeaderValue::from_static(concat!("Sockerless/", env!("CARGO_PKG_VERSION"), " (linux)"))),
    ]
}

/// Puts them on an answer.
pub fn apply(headers: &mut HeaderMap) {
    const NAMES: [HeaderName; 4] = [
        HeaderName::from_static("api-version"),
        HeaderName::from_static("docker-experimental"),
        HeaderName::from_static("ostype"),
        HeaderName::from_static("server"),
    ];
    debug_assert_eq!(ApiVersion::MAX.to_string(), "1.51");
    for (name, (_, value)) in NAMES.into_iter().zip(common()) {
        headers.insert(name, value);
    }
}

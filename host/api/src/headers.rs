//! The headers that dockerd puts on every answer.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::version::ApiVersion;

static API_VERSION: LazyLock<HeaderValue> = LazyLock::new(|| {
    // Digits and a dot: always a header's value.
    HeaderValue::try_from(ApiVersion::MAX.to_string()).unwrap_or(HeaderValue::from_static(""))
});

/// Name and value of each.
pub fn common() -> [(&'static str, HeaderValue); 4] {
    [
        ("Api-Version", API_VERSION.clone()),
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
    for (name, (_, value)) in NAMES.into_iter().zip(common()) {
        headers.insert(name, value);
    }
}

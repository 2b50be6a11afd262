//! API versions: which there are, and which one a request asks for.

use std::fmt;

use crate::errors::ApiError;

/// A version of the Docker Engine API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    major: u32,
    minor: u32,
}

impl ApiVersion {
    /// The oldest that is served: the oldest that dockerd 28 accepts.
    pub const MIN: Self = Self::of(sockerless_engine::MIN_API_VERSION);
    /// The newest, that of dockerd 28; used when a request names none.
    pub const MAX: Self = Self::of(sockerless_engine::API_VERSION);

    /// A version by its numbers.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    const fn of((major, minor): (u32, u32)) -> Self {
        Self::new(major, minor)
    }

    /// Missing numbers are zero, further ones count for nothing, absurd ones are the largest.
    fn parse(text: &str) -> Self {
        let mut numbers = text.split('.').map(|digits| match digits {
            "" => 0,
            digits => digits.parse().unwrap_or(u32::MAX),
        });
        Self { major: numbers.next().unwrap_or(0), minor: numbers.next().unwrap_or(0) }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Splits `/v1.43/info` into the version and `/info`; a path without a version is left as it is.
/// Versions that are not served are refused.
pub fn split(path: &str) -> Result<(ApiVersion, &str), ApiError> {
    let Some((text, rest)) = prefix(path) else { return Ok((ApiVersion::MAX, path)) };
    let version = ApiVersion::parse(text);
    if version < ApiVersion::MIN {
        return Err(ApiError::invalid(format!(
            "client version {text} is too old. Minimum supported API version is {}, please upgrade your client to a newer version",
            ApiVersion::MIN
        )));
    }
    if version > ApiVersion::MAX {
        return Err(ApiError::invalid(format!(
            "client version {text} is too new. Maximum supported API version is {}",
            ApiVersion::MAX
        )));
    }
    Ok((version, rest))
}

fn prefix(path: &str) -> Option<(&str, &str)> {
    let after = path.strip_prefix("/v")?;
    let slash = after.find('/')?;
    let (text, rest) = after.split_at(slash);
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')).then_some((text, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(path: &str) -> String {
        split(path).unwrap_err().message
    }

    #[test]
    fn a_path_without_a_version_gets_the_newest() {
        for path in ["/_ping", "/volumes", "/volumes/v1.24", "/version", "/v/info", "/vx/info", "/v1.24"] {
            assert_eq!(split(path).unwrap(), (ApiVersion::MAX, path));
        }
    }

    #[test]
    fn every_version_from_the_oldest_to_the_newest_is_taken() {
        for minor in 24..=51 {
            let path = format!("/v1.{minor}/containers/json");
            assert_eq!(split(&path).unwrap(), (ApiVersion::new(1, minor), "/containers/json"));
        }
    }

    #[test]
    fn other_versions_are_refused_in_dockerds_words() {
        assert_eq!(
            message("/v1.23/info"),
            "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"
        );
        assert_eq!(
            message("/v1.99/info"),
            "client version 1.99 is too new. Maximum supported API version is 1.51"
        );
        assert!(message("/v1/info").contains("too old"));
        assert!(message("/v2.0/info").contains("too new"));
        assert!(message("/v99999999999999999999/info").contains("too new"));
    }
}

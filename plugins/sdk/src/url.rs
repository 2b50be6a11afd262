//! The little of URLs that talking to an API needs.

use std::fmt::Write as _;

/// Percent-encodes everything but the unreserved characters of RFC 3986, the slash
/// included: right for one segment of a path and for a value in a query.
pub fn encode(text: &str) -> String {
    encode_keeping(text, "")
}

/// As [`encode`], but keeps the slashes: right for a path of several segments.
pub fn encode_path(text: &str) -> String {
    encode_keeping(text, "/")
}

fn encode_keeping(text: &str, keep: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// An absolute `http` or `https` URL in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts<'a> {
    /// `https` rather than `http`.
    pub secure: bool,
    /// Host, and port if there is one.
    pub authority: &'a str,
    /// Path with query; empty when the URL ends after the authority.
    pub path: &'a str,
}

/// Takes a URL apart. None when it is not an absolute `http` or `https` URL, or carries a
/// user name (whose password would end in a log).
pub fn parse(url: &str) -> Option<Parts<'_>> {
    let (secure, rest) = match url.split_once("://")? {
        ("https", rest) => (true, rest),
        ("http", rest) => (false, rest),
        _ => return None,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let bad = |c: char| c == '@' || c.is_whitespace() || c.is_control();
    if authority.is_empty()
        || authority.contains(bad)
        || path.contains('#')
        || path.contains(char::is_whitespace)
    {
        return None;
    }
    Some(Parts { secure, authority, path })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_segment_loses_its_slashes_and_a_path_keeps_them() {
        assert_eq!(encode("agent/ab c+ü"), "agent%2Fab%20c%2B%C3%BC");
        assert_eq!(encode_path("agent/ab c"), "agent/ab%20c");
    }

    #[test]
    fn urls_come_apart() {
        let parts = parse("http://127.0.0.1:8080/v2/x?y=1").unwrap();
        assert_eq!((parts.secure, parts.authority, parts.path), (false, "127.0.0.1:8080", "/v2/x?y=1"));
        assert_eq!(parse("https://run.googleapis.com").unwrap().path, "");
        for bad in
            ["run.googleapis.com", "ftp://x/", "https://", "https://u:p@x/", "https://a b/", "https://a/#x"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_safe_everywhere_in_a_url(text in ".*") {
            let coded = encode(&text);
            prop_assert!(coded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
        }
    }
}

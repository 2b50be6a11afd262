//! A storage account's shared key: it signs method, headers, path and query of a request
//! (<https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>).

use std::{collections::BTreeMap, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, header::AUTHORIZATION, header::InvalidHeaderValue, request::Parts};
use jiff::Timestamp;
use ring::hmac;

use crate::{CredentialError, CredentialErrorKind, Secret, Signer};

/// The headers that count by their place; `content-length` and `date` are treated apart.
const HEADERS: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// A signer, if the key is one.
///
/// # Errors
/// The key is not base64.
pub(crate) fn signer(name: &str, account: String, key: Secret) -> Result<Signer, CredentialError> {
    if STANDARD.decode(key.expose()).is_err() {
        return Err(CredentialError::new(
            name,
            CredentialErrorKind::Rejected,
            format!("the key of the storage account {account} is not base64"),
            "Take the key as `az storage account keys list` shows it",
        ));
    }
    Ok(Signer::SharedKey { account, key })
}

/// Signs a request that will not be changed any more.
pub(crate) fn sign(
    account: &str,
    key: &Secret,
    head: &mut Parts,
    body: &[u8],
    now: Timestamp,
) -> Result<(), InvalidHeaderValue> {
    let date =
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap_or_default();
    head.headers.insert("x-ms-date", HeaderValue::try_from(date)?);
    // `signer` has looked at it: it is base64.
    let key = STANDARD.decode(key.expose()).unwrap_or_default();
    let text = string_to_sign(account, head, body.len());
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), text.as_bytes());
    let mut value = HeaderValue::try_from(format!("SharedKey {account}:{}", STANDARD.encode(mac)))?;
    value.set_sensitive(true);
    head.headers.insert(AUTHORIZATION, value);
    Ok(())
}

fn string_to_sign(account: &str, head: &Parts, length: usize) -> String {
    let value = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut text = format!("{}\n", head.method);
    for name in HEADERS {
        match name {
            "content-length" if length > 0 => text.push_str(&length.to_string()),
            // The request has x-ms-date instead; a length of nothing stands for itself.
            "content-length" | "date" => {}
            _ => text.push_str(value(name)),
        }
        text.push('\n');
    }
    let own: BTreeMap<&str, &str> = head
        .headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-ms-"))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default().trim()))
        .collect();
    for (name, value) in own {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}:{value}");
    }
    let _ = write!(text, "/{account}{}", head.uri.path());
    let mut query: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()) {
        query.entry(name.to_ascii_lowercase()).or_default().push(value.into_owned());
    }
    for (name, mut values) in query {
        values.sort();
        let _ = write!(text, "\n{name}:{}", values.join(","));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, url: &str, headers: &[(&'static str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_string_to_sign_is_that_of_the_document() {
        let head = request(
            "PUT",
            "https://acc.file.core.windows.net/share/a%20b/f?comp=range&Timeout=9",
            &[
                ("x-ms-version", "2024-11-04"),
                ("x-ms-write", "update"),
                ("x-ms-range", "bytes=0-2"),
                ("content-type", "application/octet-stream"),
            ],
        );
        assert_eq!(
            string_to_sign("acc", &head, 3),
            "PUT\n\n\n3\n\napplication/octet-stream\n\n\n\n\n\n\nx-ms-range:bytes=0-2\nx-ms-version:2024-11-04\n\
             x-ms-write:update\n/acc/share/a%20b/f\ncomp:range\ntimeout:9"
        );
    }

    /// The value was computed with azure-storage-file-share 12.27 for Python.
    #[test]
    fn the_signature_is_the_one_of_microsofts_own_client() {
        let mut head = request(
            "GET",
            "https://acc.file.core.windows.net/share/dir?restype=directory&comp=list",
            &[("x-ms-version", "2024-11-04")],
        );
        let now: Timestamp = "2026-11-23T01:02:03Z".parse().unwrap();
        let key = Secret::new("c2VjcmV0LWtleQ==");
        sign("acc", &key, &mut head, b"", now).unwrap();
        assert_eq!(head.headers["x-ms-date"], "Mon, 23 Nov 2026 01:02:03 GMT");
        assert_eq!(head.headers[AUTHORIZATION], "SharedKey acc:0UQvdRst6UFusMvMAQ0lA6ZtTEP2PVygFgRC3KLmiZo=");
        assert!(head.headers[AUTHORIZATION].is_sensitive());
    }

    #[test]
    fn a_key_that_is_none_is_refused_without_being_shown() {
        let error = signer("azure-storage", "acc".into(), Secret::new("not base64!")).unwrap_err();
        assert_eq!(error.kind, CredentialErrorKind::Rejected);
        assert!(!error.to_string().contains("not base64!"));
    }
}

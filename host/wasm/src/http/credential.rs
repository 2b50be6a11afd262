//! Credentials on requests: named by the guest, attached by the host.

use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, PROXY_AUTHORIZATION},
};
use sockerless_credentials::{CredentialError, Credentials};

use super::grant::Admission;

/// The header by which a guest names a credential (`wit/host.wit`).
pub(crate) const NAME_HEADER: HeaderName = HeaderName::from_static("x-sockerless-credential");

/// A credential that a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) scope: Option<String>,
}

/// Takes the credential's name out of the headers.
///
/// # Errors
/// A sentence: the guest signs by itself, or names a credential that may not go to this host.
pub(crate) fn take_name(headers: &mut HeaderMap, admission: &Admission) -> Result<Option<Named>, String> {
    for forged in [AUTHORIZATION, PROXY_AUTHORIZATION] {
        if headers.contains_key(&forged) {
            return Err(format!(
                "the request carries a header {forged:?} of the plugin's own; it has to name a \
                 credential in {NAME_HEADER} instead"
            ));
        }
    }
    let mut values = headers.get_all(&NAME_HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(format!("the request has more than one {NAME_HEADER}"));
    }
    let named =
        value.to_str().ok().and_then(parse).ok_or_else(|| {
            format!("the header {NAME_HEADER} is not of the form NAME or NAME; scope=SCOPE")
        })?;
    headers.remove(&NAME_HEADER);
    if !admission.credentials.contains(&named.name) {
        return Err(format!("the credential {:?} is not granted for this host", named.name));
    }
    Ok(Some(named))
}

fn parse(text: &str) -> Option<Named> {
    let (name, scope) = match text.split_once(';') {
        Some((name, rest)) => (name, Some(rest.trim().strip_prefix("scope=")?.trim().to_owned())),
        None => (text, None),
    };
    let name = name.trim();
    let fits = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    (fits && scope.as_deref() != Some("")).then(|| Named { name: name.to_owned(), scope })
}

/// Texts that stand for secrets in bodies. They are random for each process, so that nothing but
/// a guest that asked can contain one.
pub(crate) struct Placeholders {
    prefix: String,
    /// What each stands for. Plugins ask for a few, again and again.
    issued: RwLock<Vec<Named>>,
}

impl Placeholders {
    pub(crate) fn new() -> Self {
        let prefix = format!("sockerless-placeholder-{}-", hex::encode(rand::random::<[u8; 16]>()));
        Self { prefix, issued: RwLock::default() }
    }

    /// The text that stands for a credential.
    pub(crate) fn issue(&self, name: &str, scope: Option<&str>) -> String {
        let named = Named { name: name.to_owned(), scope: scope.map(str::to_owned) };
        // A list that only grows is whole at any moment, so a panic elsewhere does not spoil it.
        let mut issued = self.issued.write().unwrap_or_else(PoisonError::into_inner);
        let known = issued.iter().position(|known| *known == named);
        let number = known.unwrap_or_else(|| {
            issued.push(named);
            issued.len() - 1
        });
        self.text(number)
    }

    fn text(&self, number: usize) -> String {
        // The end mark keeps one number from being the beginning of another.
        format!("{}{number}-end", self.prefix)
    }

    /// Replaces the placeholders of the credentials that may go to this host.
    pub(crate) async fn substitute(
        &self,
        body: Bytes,
        admission: &Admission,
        credentials: &dyn Credentials,
    ) -> Result<Bytes, CredentialError> {
        let issued = self.issued.read().unwrap_or_else(PoisonError::into_inner).clone();
        if issued.is_empty() || find(&body, self.prefix.as_bytes()).is_none() {
            return Ok(body);
        }
        let mut body = body;
        for (number, Named { name, scope }) in issued.iter().enumerate() {
            let text = self.text(number);
            if admission.credentials.contains(name) && find(&body, text.as_bytes()).is_some() {
                // Whoever gets it in a body keeps it: it has to be the one of now.
                credentials.forget(name, scope.as_deref());
                let signer = credentials.resolve(name, scope.as_deref()).await?;
                body = replace(&body, text.as_bytes(), signer.secret().expose().as_bytes());
            }
        }
        Ok(body)
    }
}

fn find(text: &[u8], pattern: &[u8]) -> Option<usize> {
    text.windows(pattern.len()).position(|window| window == pattern)
}

fn replace(text: &[u8], pattern: &[u8], by: &[u8]) -> Bytes {
    let mut result = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = find(rest, pattern) {
        result.extend_from_slice(&rest[..at]);
        result.extend_from_slice(by);
        rest = &rest[at + pattern.len()..];
    }
    result.extend_from_slice(rest);
    result.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sockerless_credentials::{CredentialSet, Fixed, Secret};

    use super::*;

    fn admission(credentials: &[&str]) -> Admission {
        Admission {
            credentials: credentials.iter().map(|name| (*name).to_owned()).collect(),
            operator_named: false,
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_named_credential_is_taken_out_with_its_scope() {
        let mut headers = headers(&[("x-sockerless-credential", "azure-arm; scope=https://a.test/.default")]);
        let named = take_name(&mut headers, &admission(&["azure-arm"])).unwrap().unwrap();
        assert_eq!(named.name, "azure-arm");
        assert_eq!(named.scope.as_deref(), Some("https://a.test/.default"));
        assert!(headers.is_empty());
    }

    #[test]
    fn a_guest_that_signs_by_itself_is_refused() {
        let mut forged = headers(&[("authorization", "Bearer stolen")]);
        assert!(take_name(&mut forged, &admission(&["google"])).unwrap_err().contains("authorization"));
    }

    #[test]
    fn a_credential_outside_the_grant_and_a_malformed_name_are_refused() {
        for value in ["other", "", "google; scope=", "google; x", "a b"] {
            let mut headers = headers(&[("x-sockerless-credential", value)]);
            assert!(take_name(&mut headers, &admission(&["google"])).is_err(), "{value:?}");
        }
    }

    #[tokio::test]
    async fn a_placeholder_becomes_the_secret_for_granted_hosts_only() {
        let placeholders = Placeholders::new();
        let set = CredentialSet::new().with("key", Fixed::bearer(Secret::new("s3cret")));
        let body = Bytes::from(format!("{{\"key\":\"{}\"}}", placeholders.issue("key", None)));
        let there = placeholders.substitute(body.clone(), &admission(&["key"]), &set).await.unwrap();
        assert_eq!(&there[..], b"{\"key\":\"s3cret\"}");
        let elsewhere = placeholders.substitute(body.clone(), &admission(&[]), &set).await.unwrap();
        assert_eq!(elsewhere, body);
    }

    proptest! {
        #[test]
        fn replacing_is_what_the_standard_library_does_with_text(text in "[ab]{0,40}") {
            let replaced = replace(text.as_bytes(), b"ab", b"X");
            let expected = text.replace("ab", "X");
            prop_assert_eq!(&replaced[..], expected.as_bytes());
        }
    }
}

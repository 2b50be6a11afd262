//! What attaches a credential to a request.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderName, HeaderValue,
    header::{AUTHORIZATION, InvalidHeaderValue},
    request::Parts,
};
use jiff::Timestamp;

use crate::{Secret, shared_key};

/// A credential, ready to sign. `sign` sees the whole request, since some kinds depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signer {
    /// `Authorization: Bearer TOKEN`.
    Bearer(Secret),
    /// `Authorization: Basic …`.
    Basic {
        /// User.
        username: String,
        /// Password.
        password: Secret,
    },
    /// A signature over the request with a storage account's key.
    SharedKey {
        /// The account's name.
        account: String,
        /// In base64.
        key: Secret,
    },
    /// A header of the provider's own (`x-api-key`).
    Header {
        /// Its name.
        name: HeaderName,
        /// Its value.
        value: Secret,
    },
}

impl Signer {
    /// Attaches the credential to a request whose body is complete. Call it last: nothing of the
    /// request may change afterwards.
    ///
    /// # Errors
    /// The secret has characters that no header can carry.
    pub fn sign(&self, head: &mut Parts, body: &[u8]) -> Result<(), InvalidHeaderValue> {
        let (name, text) = match self {
            Self::SharedKey { account, key } => {
                return shared_key::sign(account, key, head, body, Timestamp::now());
            }
            Self::Bearer(token) => (AUTHORIZATION, format!("Bearer {}", token.expose())),
            Self::Basic { username, password } => {
                let pair = STANDARD.encode(format!("{username}:{}", password.expose()));
                (AUTHORIZATION, format!("Basic {pair}"))
            }
            Self::Header { name, value } => (name.clone(), value.expose().to_owned()),
        };
        let mut value = HeaderValue::try_from(text)?;
        value.set_sensitive(true);
        head.headers.insert(name, value);
        Ok(())
    }

    /// The secret by itself, for an API that wants it in the body.
    pub fn secret(&self) -> &Secret {
        match self {
            Self::Bearer(secret)
            | Self::Basic { password: secret, .. }
            | Self::SharedKey { key: secret, .. }
            | Self::Header { value: secret, .. } => secret,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(signer: &Signer) -> Parts {
        let (mut head, ()) = http::Request::new(()).into_parts();
        signer.sign(&mut head, b"").unwrap();
        head
    }

    #[test]
    fn a_bearer_token_becomes_the_authorization_header_and_is_marked_sensitive() {
        let head = signed(&Signer::Bearer(Secret::new("abc")));
        assert_eq!(head.headers[AUTHORIZATION], "Bearer abc");
        assert!(head.headers[AUTHORIZATION].is_sensitive());
    }

    #[test]
    fn a_password_is_encoded_as_rfc_7617_says() {
        let signer = Signer::Basic { username: "Aladdin".into(), password: Secret::new("open sesame") };
        assert_eq!(signed(&signer).headers[AUTHORIZATION], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn a_secret_with_a_line_break_is_an_error_and_no_second_header() {
        let (mut head, ()) = http::Request::new(()).into_parts();
        let signer = Signer::Bearer(Secret::new("a\r\nx-evil: 1"));
        assert!(signer.sign(&mut head, b"").is_err());
        assert!(head.headers.is_empty());
    }

    #[test]
    fn the_debug_form_shows_no_secret() {
        assert!(!format!("{:?}", Signer::Bearer(Secret::new("abc"))).contains("abc"));
    }
}

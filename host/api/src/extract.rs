//! What a request says: version, query, path and JSON body.

use std::{collections::BTreeMap, convert::Infallible, fmt::Display, str::FromStr};

use axum::{
    body::Body,
    extract::{FromRequestParts, Path},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use sockerless_engine::Filters;
use url::form_urlencoded;

use crate::{errors::ApiError, limits, version::ApiVersion};

/// Docker's way to read a boolean of a query: everything is true but what says no.
fn truth(text: &str) -> bool {
    !matches!(text.trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
}

impl<S: Sync> FromRequestParts<S> for ApiVersion {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self::MAX))
    }
}

/// The path's name or id.
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(id) = Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::invalid(rejection.body_text()))?;
        Ok(Self(id))
    }
}

/// The query. Of a name given twice the first value counts, as in Go.
#[derive(Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl Params {
    /// Reads a query string; a broken percent escape is an error.
    pub fn parse(query: &str) -> Result<Self, ApiError> {
        if let Some(escape) = broken_escape(query) {
            return Err(ApiError::invalid(format!("invalid URL escape {escape:?}")));
        }
        Ok(Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }

    /// The value, if the name was given at all.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value, if it is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// [`Self::text`] as a `String`.
    pub fn string(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// All values of a name.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }

    /// A boolean; absent is false.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(truth)
    }

    /// A boolean with a value for when it is absent.
    pub fn flag_or(&self, name: &str, absent: bool) -> bool {
        self.get(name).map_or(absent, truth)
    }

    /// A number; anything else is 400.
    pub fn number<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, ApiError> {
        self.text(name)
            .map(|text| {
                text.parse()
                    .map_err(|error| ApiError::invalid(format!("invalid value {text:?} for {name}: {error}")))
            })
            .transpose()
    }

    /// `filters` in both forms: `{"k":{"v":true}}` and, from old clients, `{"k":["v"]}`.
    pub fn filters(&self) -> Result<Filters, ApiError> {
        let Some(text) = self.text("filters").filter(|text| text.trim() != "null") else {
            return Ok(Filters::new());
        };
        if let Ok(filters) = serde_json::from_str::<BTreeMap<String, Option<BTreeMap<String, bool>>>>(text) {
            return Ok(filters
                .into_iter()
                .map(|(name, values)| (name, values.unwrap_or_default().into_keys().collect()))
                .collect());
        }
        let filters: BTreeMap<String, Option<Vec<String>>> =
            serde_json::from_str(text).map_err(|_| ApiError::invalid("invalid filter"))?;
        Ok(filters.into_iter().map(|(name, values)| (name, values.unwrap_or_default())).collect())
    }
}

/// The first `%` that two hexadecimal digits do not follow.
fn broken_escape(query: &str) -> Option<&str> {
    query.match_indices('%').map(|(at, _)| query.get(at..).unwrap_or_default()).find_map(|rest| {
        let mut digits = rest.bytes().skip(1).take(2);
        let whole = digits.next().is_some_and(|b| b.is_ascii_hexdigit())
            && digits.next().is_some_and(|b| b.is_ascii_hexdigit());
        (!whole).then(|| {
            let end = rest.char_indices().nth(3).map_or(rest.len(), |(end, _)| end);
            &rest[..end]
        })
    })
}

/// Reads a JSON body; none when there is no body.
pub async fn json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<Option<T>, ApiError> {
    let empty = axum::body::HttpBody::is_end_stream(&body);
    check_content_type(headers, empty)?;
    if empty {
        return Ok(None);
    }
    let bytes = collect(body).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    parse_json(&bytes).map(Some)
}

/// The error of a body that has to be there.
pub fn missing_body() -> ApiError {
    ApiError::invalid("invalid JSON: got EOF while reading request body")
}

/// Reads JSON with dockerd's words for what is wrong with it.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| {
        ApiError::invalid(if error.is_eof() {
            "invalid JSON: unexpected EOF".to_owned()
        } else if error.to_string().starts_with("trailing characters") {
            "unexpected content after JSON".to_owned()
        } else {
            format!("invalid JSON: {error}")
        })
    })
}

async fn collect(body: Body) -> Result<Bytes, ApiError> {
    match Limited::new(body, limits::JSON_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("request body too large: more than {} bytes", limits::JSON_BODY),
        )),
        Err(error) => Err(ApiError::invalid(format!("reading request body: {error}"))),
    }
}

fn check_content_type(headers: &HeaderMap, empty: bool) -> Result<(), ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return if empty { Ok(()) } else { Err(wrong_content_type("")) };
    };
    let value = value.to_str().map_err(|_| ApiError::invalid("malformed Content-Type header"))?;
    let kind = value.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(wrong_content_type(value)) }
}

fn wrong_content_type(value: &str) -> ApiError {
    ApiError::invalid(format!("Content-Type specified ({value}) must be 'application/json'"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn params(query: &str) -> Params {
        Params::parse(query).unwrap()
    }

    #[test]
    fn booleans_are_read_as_dockerd_reads_them() {
        for (text, expected) in [
            ("1", true),
            ("true", true),
            ("True", true),
            ("yes", true),
            ("x", true),
            ("-1", true),
            ("", false),
            ("0", false),
            ("no", false),
            ("No", false),
            ("false", false),
            ("FALSE", false),
            ("none", false),
            ("%20", false),
        ] {
            assert_eq!(params(&format!("a={text}")).flag("a"), expected, "{text:?}");
        }
        assert!(params("a").flag_or("b", true));
        assert!(!params("b").flag_or("b", true));
    }

    #[test]
    fn of_a_name_given_twice_the_first_value_counts() {
        let query = params("Cmd=sh&Cmd=-c&t=1&t=2");
        assert_eq!(query.get("t"), Some("1"));
        assert_eq!(query.all("Cmd"), ["sh", "-c"]);
    }

    #[test]
    fn both_forms_of_filters_mean_the_same() {
        let expected = Filters::from([("label".into(), vec!["a=b".into(), "c".into()])]);
        let read = |json: &str| {
            let query: String =
                form_urlencoded::Serializer::new(String::new()).append_pair("filters", json).finish();
            params(&query).filters()
        };
        assert_eq!(read(r#"{"label":{"a=b":true,"c":true}}"#).unwrap(), expected);
        assert_eq!(read(r#"{"label":["a=b","c"]}"#).unwrap(), expected);
        assert_eq!(read("{}").unwrap(), Filters::new());
        assert_eq!(read("null").unwrap(), Filters::new());
        assert_eq!(params("").filters().unwrap(), Filters::new());
        for bad in ["{", "[]", "7", r#"{"label":"a"}"#, r#"{"label":{"a":1}}"#] {
            assert_eq!(read(bad), Err(ApiError::invalid("invalid filter")), "{bad}");
        }
    }

    #[test]
    fn a_broken_escape_is_refused() {
        assert_eq!(Params::parse("a=%zz").unwrap_err().message, "invalid URL escape \"%zz\"");
        assert_eq!(Params::parse("a=%4").unwrap_err().message, "invalid URL escape \"%4\"");
        assert!(Params::parse("a=%41").is_ok());
    }

    #[test]
    fn numbers_are_numbers() {
        assert_eq!(params("t=10").number::<i64>("t").unwrap(), Some(10));
        assert_eq!(params("t=-1").number::<i64>("t").unwrap(), Some(-1));
        assert_eq!(params("t=").number::<i64>("t").unwrap(), None);
        assert_eq!(params("t=x").number::<i64>("t").unwrap_err().status, StatusCode::BAD_REQUEST);
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_read_back(pairs in prop::collection::vec((".{0,12}", ".{0,12}"), 0..6)) {
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            prop_assert_eq!(params(&query).0, pairs);
        }

        #[test]
        fn no_query_makes_it_panic(query in ".{0,60}") {
            let _ = Params::parse(&query).map(|params| params.filters().is_ok());
        }
    }
}

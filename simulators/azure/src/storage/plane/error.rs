//! Errors in the form of Azure Storage.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::xml::escaped;
use crate::error::ArmError;
use crate::{ids, time};

/// What a call answers when it fails.
#[derive(Debug)]
pub struct FileError {
    status: StatusCode,
    code: String,
    message: String,
    challenge: Option<String>,
}

/// The result of a call.
pub type Result<T> = std::result::Result<T, FileError>;

impl FileError {
    /// An error.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), challenge: None }
    }

    /// 400.
    pub fn bad(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 403.
    pub fn unauthenticated(detail: &str) -> Self {
        let message = format!(
            "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including \
             the signature. {detail}"
        );
        Self::new(StatusCode::FORBIDDEN, "AuthenticationFailed", message)
    }

    /// 401 with the challenge.
    pub fn challenged(message: &str, challenge: String) -> Self {
        Self {
            challenge: Some(challenge),
            ..Self::new(StatusCode::UNAUTHORIZED, "NoAuthenticationInformation", message)
        }
    }

    /// 404 for a share.
    pub fn no_share() -> Self {
        Self::new(StatusCode::NOT_FOUND, "ShareNotFound", "The specified share does not exist.")
    }

    /// 404 for a file or folder.
    pub fn no_resource() -> Self {
        Self::new(StatusCode::NOT_FOUND, "ResourceNotFound", "The specified resource does not exist.")
    }

    /// 404 for the folder that something is to be made in.
    pub fn no_parent() -> Self {
        Self::new(StatusCode::NOT_FOUND, "ParentNotFound", "The specified parent path does not exist.")
    }

    /// 409: there is one.
    pub fn exists() -> Self {
        Self::new(StatusCode::CONFLICT, "ResourceAlreadyExists", "The specified resource already exists.")
    }

    /// 409: it is a file, or it is none.
    pub fn type_mismatch() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "ResourceTypeMismatch",
            "The specified resource type does not match the type of the existing resource.",
        )
    }

    /// 400 for a path that cannot be.
    pub fn resource_name() -> Self {
        Self::bad("InvalidResourceName", "The specified resource name contains invalid characters.")
    }

    /// 400 for an operation that is not simulated.
    pub fn unsupported() -> Self {
        Self::bad("InvalidQueryParameterValue", "This operation of Azure Files is not simulated.")
    }

    /// 413.
    pub fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestBodyTooLarge",
            "The request body is too large and exceeds the maximum permissible limit.",
        )
    }

    /// 416.
    pub fn range() -> Self {
        Self::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "InvalidRange",
            "The range specified is invalid for the current size of the resource.",
        )
    }

    /// 400 for a header.
    pub fn header(name: &str) -> Self {
        Self::bad(
            "InvalidHeaderValue",
            format!("The value for one of the HTTP headers is not in the correct format: {name}."),
        )
    }
}

impl From<ArmError> for FileError {
    fn from(error: ArmError) -> Self {
        Self { status: error.status, code: error.code, message: error.message, challenge: None }
    }
}

impl From<std::io::Error> for FileError {
    fn from(error: std::io::Error) -> Self {
        ArmError::from(error).into()
    }
}

impl IntoResponse for FileError {
    fn into_response(self) -> Response {
        let message =
            format!("{}\nRequestId:{}\nTime:{}", self.message, ids::uuid(), time::text(time::now()));
        let body = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{}</Code><Message>{}</Message></Error>",
            escaped(&self.code),
            escaped(&message)
        );
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/xml")], body).into_response();
        if let Ok(code) = HeaderValue::from_str(&self.code) {
            response.headers_mut().insert(HeaderName::from_static("x-ms-error-code"), code);
        }
        if let Some(challenge) = self.challenge.and_then(|text| HeaderValue::from_str(&text).ok()) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

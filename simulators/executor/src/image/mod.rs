//! Images: from a reference to layers on this machine.

mod auth;
mod client;
mod document;
mod flight;
mod http;
mod layer;
mod store;

pub(crate) use document::ImageConfig;
pub(crate) use layer::Unpack;
pub(crate) use store::{Image, ImageStore};

use crate::spec::FailureReason;

/// Why an image cannot be had.
#[derive(Debug, Clone)]
pub(crate) struct ImageError {
    pub reason: FailureReason,
    pub message: String,
}

impl ImageError {
    pub(crate) fn new(reason: FailureReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(FailureReason::ImageInvalid, message)
    }

    pub(crate) fn internal(context: impl std::fmt::Display, error: impl std::fmt::Display) -> Self {
        Self::new(FailureReason::Internal, format!("{context}: {error}"))
    }
}

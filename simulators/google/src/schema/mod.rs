//! Requests and responses, held to Google's discovery documents.

mod check;
mod query;
mod scalar;
mod table;

pub use query::Query;
pub use table::Api;

use std::sync::LazyLock;

macro_rules! api {
    ($name:ident, $file:literal, $package:literal, $prefix:literal, $doc:literal) => {
        #[doc = $doc]
        pub fn $name() -> &'static Api {
            static API: LazyLock<Api> = LazyLock::new(|| {
                Api::read(include_str!(concat!("../../schemas/", $file)), $package, $prefix)
            });
            &API
        }
    };
}

api!(run, "run.v2.json", "google.cloud.run.v2", "GoogleCloudRunV2", "Cloud Run Admin API v2.");
api!(storage, "storage.v1.json", "google.storage.v1", "", "Cloud Storage JSON API v1.");
api!(dns, "dns.v1.json", "google.cloud.dns.v1", "", "Cloud DNS API v1.");
api!(logging, "logging.v2.json", "google.logging.v2", "", "Cloud Logging API v2.");

#[cfg(test)]
mod tests;

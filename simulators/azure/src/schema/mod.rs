//! Requests and answers, held to the models of Azure's SDKs.

mod check;
mod table;

use std::sync::LazyLock;

pub use check::SKIP;
pub use table::Api;

macro_rules! api {
    ($name:ident, $file:literal, $doc:literal) => {
        #[doc = $doc]
        pub fn $name() -> &'static Api {
            static API: LazyLock<Api> =
                LazyLock::new(|| Api::read(include_str!(concat!("../../schemas/", $file))));
            &API
        }
    };
}

api!(appcontainers, "appcontainers.json", "Microsoft.App.");
api!(storage, "storage.json", "Microsoft.Storage.");
api!(privatedns, "privatedns.json", "Microsoft.Network's private DNS zones.");

#[cfg(test)]
mod tests;

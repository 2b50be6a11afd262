//! The simulator's own state: SQLite files, one for the logs (which are many) and one for the rest.

pub use sockerless_simulator_common::Database;
use sockerless_simulator_common::{db, registry};

/// Tables of all parts but the logs.
pub const SCHEMA: &[&str] = &[
    crate::auth::SCHEMA,
    crate::run::store::SCHEMA,
    crate::storage::index::SCHEMA,
    registry::store::SCHEMA,
    crate::dns::store::SCHEMA,
    db::SETTINGS,
];

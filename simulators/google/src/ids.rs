//! Random names.

pub use sockerless_simulator_common::ids::{secret, suffix, uuid};

/// An access token that nobody guesses, in the look of Google's.
pub fn token() -> String {
    format!("ya29.{}{}", secret(), secret())
}

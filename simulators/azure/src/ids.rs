//! Random names.

use rand::seq::IndexedRandom;
pub use sockerless_simulator_common::ids::{secret, uuid};

/// Small letters and digits, as executions and replicas end.
pub fn suffix(length: usize) -> String {
    const ALL: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut rng = rand::rng();
    (0..length).filter_map(|_| ALL.choose(&mut rng)).map(|byte| char::from(*byte)).collect()
}

/// An access token that nobody guesses, with the first letters that Entra's have.
pub fn token() -> String {
    format!("eyJ0{}{}", secret(), secret())
}

/// An entity tag.
pub fn etag() -> String {
    format!("\"{}\"", uuid())
}

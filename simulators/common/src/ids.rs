//! Random names.

use rand::Rng;
use rand::seq::IndexedRandom;

/// A random UUID, version 4.
pub fn uuid() -> String {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

/// Letters and digits, of which the first is a letter, as Cloud Run ends an execution's name.
pub fn suffix(length: usize) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz";
    const ALL: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut rng = rand::rng();
    (0..length)
        .filter_map(|index| if index == 0 { LETTERS.choose(&mut rng) } else { ALL.choose(&mut rng) })
        .map(|byte| char::from(*byte))
        .collect()
}

/// An unguessable name of 32 hexadecimal digits.
pub fn secret() -> String {
    hex::encode(rand::rng().random::<[u8; 16]>())
}

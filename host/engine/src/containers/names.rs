//! Names: the user's, and random ones in Docker's manner.

use crate::{Error, ErrorKind, Result};

/// A container's name without its slash. Errors: 400 in dockerd's words.
pub(crate) fn parse(name: &str) -> Result<String> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    let mut characters = bare.bytes();
    let first = characters.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest =
        bare.len() > 1 && characters.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if first && rest {
        return Ok(bare.to_owned());
    }
    Err(Error::new(
        ErrorKind::Invalid,
        format!("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
    ))
}

/// `quiet_heron`; after some tries with a number behind it.
pub(crate) fn random(attempt: usize) -> String {
    let pick = |words: &[&'static str]| words[rand::random_range(0..words.len())];
    let name = format!("{}_{}", pick(&ADJECTIVES), pick(&SURNAMES));
    if attempt < crate::tuning::NAME_TRIES {
        name
    } else {
        format!("{name}{}", rand::random_range(0..100_000))
    }
}

const ADJECTIVES: [&str; 64] = [
    "able", "agile", "amber", "ample", "apt", "artful", "balmy", "blithe", "breezy", "brisk", "candid",
    "cheery", "civil", "cosy", "deft", "docile", "dulcet", "earnest", "elated", "fabled", "fluent", "frank",
    "genial", "gilded", "glad", "hale", "hardy", "humble", "ideal", "jaunty", "jolly", "keen", "kindly",
    "limber", "lively", "lucid", "mellow", "mild", "mirthful", "neat", "nimble", "patient", "placid",
    "plucky", "polite", "prompt", "quick", "quiet", "rapid", "ready", "robust", "sage", "serene", "silent",
    "steady", "sturdy", "sunny", "swift", "tidy", "upbeat", "vivid", "warm", "wise", "witty",
];

/// People of computing, mathematics and the sciences.
const SURNAMES: [&str; 64] = [
    "abel",
    "ampere",
    "babbage",
    "backus",
    "bardeen",
    "bernoulli",
    "boole",
    "borg",
    "cantor",
    "carson",
    "cerf",
    "church",
    "codd",
    "conway",
    "crick",
    "curie",
    "dahl",
    "descartes",
    "dijkstra",
    "dirac",
    "engelbart",
    "erdos",
    "euclid",
    "euler",
    "faraday",
    "fermi",
    "fourier",
    "gauss",
    "germain",
    "goedel",
    "goldberg",
    "hamming",
    "herschel",
    "hilbert",
    "hoare",
    "hopper",
    "huffman",
    "iverson",
    "jones",
    "kepler",
    "kleene",
    "knuth",
    "lagrange",
    "lamport",
    "leibniz",
    "liskov",
    "lovelace",
    "mccarthy",
    "meitner",
    "milner",
    "minsky",
    "naur",
    "noether",
    "nygaard",
    "pascal",
    "perlis",
    "planck",
    "ritchie",
    "scott",
    "shannon",
    "tarjan",
    "turing",
    "wirth",
    "yao",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dockers() {
        for good in ["ab", "/web", "a.b-c_d", "0x"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["", "/", "a", "-ab", "a b", "a/b", "naïve", "//ab"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(&random(0)).is_ok());
        assert!(random(100).ends_with(|last: char| last.is_ascii_digit()));
    }
}

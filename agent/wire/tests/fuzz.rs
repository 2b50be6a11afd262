//! The fuzz target's entry on its corpus, on what becomes of that by small changes, and on random bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../../fuzz/entry.rs"]
mod entry;

use rand::{Rng, SeedableRng, rngs::StdRng};
use sockerless_agent_wire::{Frame, Frames, FromAgent, FromDaemon};

fn corpus() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/decode");
    std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

#[test]
fn the_corpus_is_read() {
    let corpus = corpus();
    assert!(corpus.len() >= 10);
    corpus.iter().for_each(|input| entry::decode(input));
}

#[test]
fn no_change_of_a_message_breaks_the_decoder() {
    let mut random = StdRng::seed_from_u64(1);
    for input in corpus() {
        for _ in 0..2_000 {
            let mut changed = input.clone();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..=changed.len());
                match random.random_range(0..4) {
                    0 => changed.truncate(at),
                    1 => changed.insert(at, random.random()),
                    2 if at < changed.len() => changed[at] ^= 1 << random.random_range(0..8),
                    _ if at < changed.len() => {
                        changed[at] = [0, 1, 4, 17, 0x7f, 0xff][random.random_range(0..6)]
                    }
                    _ => {}
                }
            }
            entry::decode(&changed);
        }
    }
}

#[test]
fn no_bytes_break_the_decoder() {
    let mut random = StdRng::seed_from_u64(2);
    for _ in 0..20_000 {
        let mut input = vec![0; random.random_range(0..200)];
        random.fill(&mut input[..]);
        // The kinds that there are, so that something is read at all.
        if let Some(kind) = input.first_mut() {
            *kind %= 7;
        }
        entry::decode(&input);
    }
}

#[test]
fn what_the_corpus_says_is_understood() {
    for input in corpus() {
        for frame in Frames::new(input.into()).map_while(Result::ok) {
            if let Frame::Control(json) = frame {
                let understood = FromAgent::parse(&json).is_ok() || FromDaemon::parse(&json).is_ok();
                assert!(understood, "{}", String::from_utf8_lossy(&json));
            }
        }
    }
}

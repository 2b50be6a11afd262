//! Names beside others: for what both sides have changed.

use crate::tuning;

/// Names for a thing whose own name is taken, one after the other: `NAME.conflict-TAG`, then with numbers.
pub(super) struct Beside<'a> {
    path: &'a [u8],
    tag: &'a str,
    number: u32,
}

impl<'a> Beside<'a> {
    /// The empty path stands for the file that is mounted alone: [`fitting`] has to make its names whole.
    pub fn new(path: &'a [u8], tag: &'a str) -> Self {
        Self { path, tag, number: 0 }
    }

    /// The next one.
    pub fn another(&mut self) -> Vec<u8> {
        self.number += 1;
        let suffix = match self.number {
            1 => format!(".conflict-{}", self.tag),
            number => format!(".conflict-{}-{number}", self.tag),
        };
        let at = self.path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        let (folder, name) = self.path.split_at(at);
        [folder, &fitting(name, suffix.as_bytes())].concat()
    }
}

/// A name with something behind it, and of the name as much as a file system takes: no character is cut in two.
pub(super) fn fitting(name: &[u8], suffix: &[u8]) -> Vec<u8> {
    let room = tuning::BIND_NAME.saturating_sub(suffix.len());
    let mut end = name.len().min(room);
    if end < name.len() {
        let is_within = |end: usize| name[end] & 0b1100_0000 == 0b1000_0000;
        let begins = (end.saturating_sub(3)..=end).rev().find(|end| !is_within(*end));
        // Where none of four bytes begins a character it is no UTF-8, which is not cut badly anywhere.
        end = begins.unwrap_or(end);
    }
    [&name[..end], suffix].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beside_something_has_a_name_that_fits() {
        let long = format!("sub/{}", "n".repeat(255));
        let mut names = Beside::new(long.as_bytes(), "c0ffee");
        for suffix in [".conflict-c0ffee", ".conflict-c0ffee-2", ".conflict-c0ffee-3"] {
            let name = String::from_utf8(names.another()).unwrap();
            assert_eq!(name.len(), "sub/".len() + 255, "{name}");
            assert!(name.starts_with("sub/nnn") && name.ends_with(&format!("n{suffix}")), "{name}");
        }
        assert_eq!(Beside::new(b"a/file", "c0ffee").another(), b"a/file.conflict-c0ffee");
        assert_eq!(Beside::new(b"", "c0ffee").another(), b".conflict-c0ffee");
    }

    #[test]
    fn a_character_is_kept_whole_or_left_out() {
        for before in 0..4 {
            let name = format!("{}{}", "n".repeat(before), "\u{1f600}".repeat(63));
            let short = String::from_utf8(fitting(name.as_bytes(), b".conflict-c0ffee")).unwrap();
            assert!((252..=255).contains(&short.len()), "{}", short.len());
        }
        let not_text = [0x80; 255];
        assert_eq!(fitting(&not_text, b".conflict").len(), 255);
    }
}

//! What of a directory stays at home: patterns as in `.dockerignore`.

/// Patterns, of which the last one that matches a path, or a directory above it, decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ignore(Vec<Rule>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// Behind a `!`: what matches comes along after all.
    exception: bool,
    glob: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// `?`: any but `/`.
    One,
    /// `[…]`: ranges, or all but those; never `/`.
    Class {
        negated: bool,
        ranges: Vec<(u8, u8)>,
    },
    /// `*`: any number of them but `/`.
    Some,
    /// `**`: any number, with `/`.
    Deep,
    /// `**/`: nothing, or anything that ends in `/`. The next token is [`Token::Folders`].
    Folder,
    /// Within the latter.
    Folders,
}

impl Ignore {
    /// A pattern in a line; empty lines and those that begin with `#` are none. Errors: the pattern that cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rules = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = if number == 0 { line.trim_start_matches('\u{feff}') } else { line };
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (exception, pattern) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            let pattern = clean(pattern);
            if pattern.is_empty() {
                continue;
            }
            let glob = tokens(pattern.as_bytes()).ok_or_else(|| line.to_owned())?;
            rules.push(Rule { exception, glob });
        }
        Ok(Self(rules))
    }

    /// These patterns after those.
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether a path, relative and without a `/` at its end, stays at home.
    pub fn has(&self, path: &[u8]) -> bool {
        let mut has = false;
        for rule in &self.0 {
            if rule.exception == has && rule.matches(path) {
                has = !rule.exception;
            }
        }
        has
    }

    /// Whether something in a directory that stays at home may come along.
    pub fn has_exceptions(&self) -> bool {
        self.0.iter().any(|rule| rule.exception)
    }
}

impl Rule {
    fn matches(&self, path: &[u8]) -> bool {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        ends.chain([path.len()]).any(|end| matches(&self.glob, &path[..end]))
    }
}

/// As Go's `filepath.Clean`, relative.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn tokens(mut pattern: &[u8]) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    while let Some((first, rest)) = pattern.split_first() {
        pattern = rest;
        match first {
            b'*' if rest.starts_with(b"*") => {
                while let [b'*', rest @ ..] = pattern {
                    pattern = rest;
                }
                if let [b'/', rest @ ..] = pattern {
                    pattern = rest;
                    tokens.extend([Token::Folder, Token::Folders]);
                } else {
                    tokens.push(Token::Deep);
                }
            }
            b'*' => tokens.push(Token::Some),
            b'?' => tokens.push(Token::One),
            b'[' => {
                let (class, rest) = class(rest)?;
                pattern = rest;
                tokens.push(class);
            }
            b'\\' => {
                let (escaped, rest) = rest.split_first()?;
                pattern = rest;
                tokens.push(Token::Byte(*escaped));
            }
            byte => tokens.push(Token::Byte(*byte)),
        }
    }
    Some(tokens)
}

fn class(mut pattern: &[u8]) -> Option<(Token, &[u8])> {
    let mut ranges = Vec::new();
    let negated = pattern.starts_with(b"^");
    if negated {
        pattern = &pattern[1..];
    }
    loop {
        if let ([b']', rest @ ..], false) = (pattern, ranges.is_empty()) {
            return Some((Token::Class { negated, ranges }, rest));
        }
        let (low, rest) = one(pattern)?;
        let (high, rest) = match rest {
            [b'-', rest @ ..] => one(rest)?,
            _ => (low, rest),
        };
        ranges.push((low, high));
        pattern = rest;
    }
}

/// A byte of a class.
fn one(pattern: &[u8]) -> Option<(u8, &[u8])> {
    match pattern {
        [] | [b'-' | b']', ..] => None,
        [b'\\', byte, rest @ ..] | [byte, rest @ ..] => Some((*byte, rest)),
    }
}

/// All places of the glob that the text may have come to, at once: no pattern takes longer than its length times the text's.
fn matches(glob: &[Token], text: &[u8]) -> bool {
    let mut at = vec![false; glob.len() + 1];
    enter(glob, &mut at, 0);
    let mut next = vec![false; glob.len() + 1];
    for byte in text {
        next.fill(false);
        for (place, token) in glob.iter().enumerate() {
            if !at[place] {
                continue;
            }
            match token {
                Token::Byte(wanted) if wanted == byte => enter(glob, &mut next, place + 1),
                Token::One if *byte != b'/' => enter(glob, &mut next, place + 1),
                Token::Class { negated, ranges }
                    if *byte != b'/'
                        && ranges.iter().any(|(low, high)| (low..=high).contains(&byte)) != *negated =>
                {
                    enter(glob, &mut next, place + 1);
                }
                Token::Some if *byte != b'/' => enter(glob, &mut next, place),
                Token::Deep => enter(glob, &mut next, place),
                Token::Folders => {
                    next[place] = true;
                    if *byte == b'/' {
                        enter(glob, &mut next, place + 1);
                    }
                }
                _ => {}
            }
        }
        std::mem::swap(&mut at, &mut next);
    }
    at[glob.len()]
}

/// Notes a place, with those that follow without a byte.
fn enter(glob: &[Token], at: &mut [bool], place: usize) {
    if std::mem::replace(&mut at[place], true) {
        return;
    }
    match glob.get(place) {
        Some(Token::Some | Token::Deep) => enter(glob, at, place + 1),
        Some(Token::Folder) => {
            at[place + 1] = true;
            enter(glob, at, place + 2);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn has(patterns: &str, path: &str) -> bool {
        Ignore::parse(patterns).unwrap().has(path.as_bytes())
    }

    #[test]
    fn patterns_match_as_those_of_docker() {
        for (pattern, path, expected) in [
            ("target", "target", true),
            ("target", "target/debug/a", true),
            ("target", "sub/target", false),
            ("/target/", "target/x", true),
            ("./target", "target", true),
            ("**/target", "target", true),
            ("**/target", "a/b/target/c", true),
            ("**/target", "a/mytarget", false),
            ("*.o", "a.o", true),
            ("*.o", "sub/a.o", false),
            ("**/*.o", "sub/deep/a.o", true),
            ("*/temp*", "one/temporary", true),
            ("*/temp*", "one/two/temporary", false),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/**/z", "a/z", true),
            ("a/**/z", "a/b/c/z", true),
            ("**", "anything/at/all", true),
            ("**foo", "bar/xfoo", true),
            ("temp?", "tempa", true),
            ("temp?", "temp", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("# no comment", "# no comment", false),
        ] {
            assert_eq!(has(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn the_last_that_matches_decides() {
        let patterns = "# docs\n*.md\n!README*.md\nREADME-secret.md\n\nnode_modules\n!node_modules/mine\n";
        let stays = |path| has(patterns, path);
        assert!(stays("a.md") && !stays("README-a.md") && stays("README-secret.md"));
        assert!(stays("node_modules/a") && !stays("node_modules/mine") && !stays("node_modules/mine/b"));
        assert!(Ignore::parse(patterns).unwrap().has_exceptions());
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        for bad in ["[", "[]", "a[", "[b-", "x\\"] {
            assert_eq!(Ignore::parse(&format!("ok\n{bad}\n")).unwrap_err(), bad);
        }
        assert!(!has("", "a") && !has("\n!\n/\n", "a"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_in_time(pattern in "[a*?/\\[\\]!^\\\\-]{0,40}", path in "[ab/]{0,80}") {
            if let Ok(ignore) = Ignore::parse(&pattern) {
                ignore.has(path.as_bytes());
            }
        }

        #[test]
        fn a_plain_name_means_itself_and_what_is_below(name in "[a-z]{1,8}", below in "[a-z]{1,8}") {
            prop_assert!(has(&name, &name));
            let (below, other) = (format!("{name}/{below}"), format!("{name}x"));
            prop_assert!(has(&name, &below));
            prop_assert!(!has(&name, &other));
        }
    }
}

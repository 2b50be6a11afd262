//! Words of a query.

use crate::logs::QueryError;

/// A word.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A name or keyword.
    Word(String),
    /// A string.
    Text(String),
    /// A number.
    Number(f64),
    /// A sign: `|`, `==`, `(` …
    Sign(&'static str),
    /// `datetime(…)` and the like: what stands between the brackets, as it is.
    Call(String, String),
}

const SIGNS: &[&str] = &["==", "!=", "=~", ">=", "<=", ">", "<", "=", "|", "(", ")", ",", "[", "]"];
/// Functions whose argument is no expression.
const LITERALS: &[&str] = &["datetime", "ago", "todatetime"];

/// Takes a query apart.
///
/// # Errors
/// A string without an end, or a sign that is none.
pub fn tokens(text: &str) -> Result<Vec<Token>, QueryError> {
    let mut rest = text;
    let mut tokens = Vec::new();
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return Ok(tokens) };
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
        } else if first == '"' || first == '\'' || rest.starts_with("@\"") || rest.starts_with("@'") {
            let (string, after) = string(rest)?;
            tokens.push(Token::Text(string));
            rest = after;
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else if first.is_ascii_digit() || first == '-' {
            let end = rest[1..]
                .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
                .map_or(rest.len(), |at| at + 1);
            let number = rest[..end].parse().map_err(|_| unexpected(&rest[..end]))?;
            tokens.push(Token::Number(number));
            rest = &rest[end..];
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest
                .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
                .unwrap_or(rest.len());
            let word = rest[..end].to_owned();
            rest = &rest[end..];
            let after = rest.trim_start();
            if LITERALS.contains(&word.as_str()) && after.starts_with('(') {
                let Some((inside, behind)) = after[1..].split_once(')') else {
                    return Err(unexpected(after));
                };
                tokens.push(Token::Call(word, inside.trim().trim_matches(['"', '\'']).to_owned()));
                rest = behind;
            } else {
                tokens.push(Token::Word(word));
            }
        } else {
            return Err(unexpected(rest));
        }
    }
}

fn unexpected(rest: &str) -> QueryError {
    let near: String = rest.chars().take(20).collect();
    QueryError::new("SyntaxError", format!("Query could not be parsed at '{near}'"))
}

/// A string at the beginning of a text, and what follows it. `@` keeps backslashes.
fn string(text: &str) -> Result<(String, &str), QueryError> {
    let (verbatim, text) = text.strip_prefix('@').map_or((false, text), |rest| (true, rest));
    let mut letters = text.char_indices();
    let quote = letters.next().map_or('"', |(_, quote)| quote);
    let mut string = String::new();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' if !verbatim => match letters.next() {
                Some((_, 'n')) => string.push('\n'),
                Some((_, 't')) => string.push('\t'),
                Some((_, 'r')) => string.push('\r'),
                Some((_, other @ ('\\' | '"' | '\''))) => string.push(other),
                _ => return Err(unexpected(&text[at..])),
            },
            letter if letter == quote => return Ok((string, &text[at + letter.len_utf8()..])),
            letter => string.push(letter),
        }
    }
    Err(unexpected(text))
}

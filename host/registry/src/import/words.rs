//! Words of Dockerfile instructions: quotes, escapes, `key=value`, JSON lists.

/// Splits at spaces outside quotes; quotes and backslashes stay.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                word.push(c);
                word.extend(characters.next());
            }
            ('"' | '\'', None) => {
                quote = Some(c);
                word.push(c);
            }
            (c, Some(open)) if c == open => {
                quote = None;
                word.push(c);
            }
            (c, None) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (c, _) => word.push(c),
        }
    }
    if quote.is_some() {
        return Err(format!("unexpected end of statement while looking for matching quote in {text:?}"));
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

/// Without quotes, and with what backslashes protect.
pub fn unquote(text: &str) -> String {
    let (mut plain, mut quote) = (String::new(), None);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', None) => plain.extend(characters.next()),
            ('\\', Some('"')) if matches!(characters.peek(), Some('"' | '\\' | '$')) => {
                plain.extend(characters.next())
            }
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (c, _) => plain.push(c),
        }
    }
    plain
}

/// `a=b "c d"=e`, or the old form `name the whole rest`.
pub fn pairs(text: &str, instruction: &str) -> Result<Vec<(String, String)>, String> {
    let words = split(text)?;
    let Some(first) = words.first() else {
        return Err(format!("{instruction} requires at least one argument"));
    };
    if !first.contains('=') {
        let (name, value) = text
            .split_once(char::is_whitespace)
            .ok_or_else(|| format!("{instruction} must have two arguments"))?;
        return Ok(vec![(unquote(name), unquote(value.trim()))]);
    }
    words
        .iter()
        .map(|word| match word.split_once('=') {
            Some(("", _)) => Err(format!("{instruction} names can not be blank")),
            Some((name, value)) => Ok((unquote(name), unquote(value))),
            None => Err(format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value")),
        })
        .collect()
}

/// A JSON list of strings, if that is what it is.
pub fn list(text: &str) -> Option<Vec<String>> {
    text.trim_start().starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_spaces_inside_quotes_and_after_backslashes() {
        let expected =
            [("A", "b c"), ("D", "e f"), ("G", "h\"i"), ("J", "")].map(|(k, v)| (k.into(), v.into()));
        assert_eq!(pairs(r#"A="b c" D=e\ f G="h\"i" J="#, "ENV").unwrap(), expected);
        assert_eq!(pairs("A b  c", "ENV").unwrap(), [("A".into(), "b  c".into())]);
        assert!(pairs("A=\"b", "ENV").is_err());
        assert!(pairs("=b", "ENV").is_err());
        assert!(pairs("A", "ENV").is_err());
    }
}

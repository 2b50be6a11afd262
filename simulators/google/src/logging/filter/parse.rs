//! Text to expression.

use super::{Expression, Operator};
use crate::limits;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// Bare or quoted; the flag says quoted.
    Word(String, bool),
    Operator(Operator),
    Open,
    Close,
    Dot,
    Minus,
}

/// A parser over the tokens of a text.
pub(super) struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
}

impl Parser {
    /// Parses a whole text.
    pub(super) fn parse(text: &str) -> Result<Expression, String> {
        let mut parser = Self { tokens: tokens(text)?, next: 0, depth: 0 };
        if parser.tokens.is_empty() {
            return Ok(Expression::All(Vec::new()));
        }
        let expression = parser.all()?;
        match parser.tokens.get(parser.next) {
            None => Ok(expression),
            Some((at, token)) => Err(format!("syntax error at column {at}, token {token:?}")),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn keyword(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(text, false)) if text == word);
        self.next += usize::from(found);
        found
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    fn all(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.any()?];
        loop {
            let explicit = self.keyword("AND");
            if !explicit && matches!(self.peek(), None | Some(Token::Close)) {
                break;
            }
            parts.push(self.any()?);
        }
        Ok(one_or(parts, Expression::All))
    }

    fn any(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.not()?];
        while self.keyword("OR") {
            parts.push(self.not()?);
        }
        Ok(one_or(parts, Expression::Any))
    }

    fn not(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > limits::FILTER_DEPTH {
            return Err("nested too deeply".to_owned());
        }
        let negated = self.keyword("NOT") || self.take(&Token::Minus);
        let expression = if negated {
            Expression::Not(Box::new(self.not()?))
        } else if self.take(&Token::Open) {
            let inner = self.all()?;
            if !self.take(&Token::Close) {
                return Err("a closing parenthesis is missing".to_owned());
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn word(&mut self) -> Result<(String, bool), String> {
        match self.tokens.get(self.next) {
            Some((_, Token::Word(text, quoted))) => {
                self.next += 1;
                Ok((text.clone(), *quoted))
            }
            Some((at, token)) => Err(format!("syntax error at column {at}, token {token:?}")),
            None => Err("unexpected end of the filter".to_owned()),
        }
    }

    fn comparison(&mut self) -> Result<Expression, String> {
        let (first, quoted) = self.word()?;
        if !quoted && ["AND", "OR", "NOT"].contains(&first.as_str()) {
            return Err(format!("syntax error at {first}"));
        }
        if !quoted && self.peek() == Some(&Token::Open) {
            return self.function(&first);
        }
        let mut path = vec![first];
        while self.take(&Token::Dot) {
            path.push(self.word()?.0);
        }
        let Some(Token::Operator(operator)) = self.peek().cloned() else {
            return Ok(Expression::Text(path.join(".")));
        };
        self.next += 1;
        if self.take(&Token::Open) {
            let expression = self.values(&path, operator)?;
            return Ok(expression);
        }
        let value = self.value()?;
        Ok(Expression::Compare(path, operator, value))
    }

    /// `(a OR b)` behind an operator.
    fn values(&mut self, path: &[String], operator: Operator) -> Result<Expression, String> {
        let mut all = Vec::new();
        loop {
            let mut any = Vec::new();
            loop {
                let negated = self.keyword("NOT") || self.take(&Token::Minus);
                let compare = Expression::Compare(path.to_vec(), operator, self.value()?);
                any.push(if negated { Expression::Not(Box::new(compare)) } else { compare });
                if !self.keyword("OR") {
                    break;
                }
            }
            all.push(one_or(any, Expression::Any));
            if self.take(&Token::Close) {
                return Ok(one_or(all, Expression::All));
            }
            self.keyword("AND");
        }
    }

    /// A value; an unquoted one may have dots and a leading minus.
    fn value(&mut self) -> Result<String, String> {
        let minus = self.take(&Token::Minus);
        let (mut value, quoted) = self.word()?;
        if !quoted {
            while self.take(&Token::Dot) {
                value.push('.');
                value.push_str(&self.word()?.0);
            }
        }
        Ok(if minus { format!("-{value}") } else { value })
    }

    fn function(&mut self, name: &str) -> Result<Expression, String> {
        if name != "log_id" {
            return Err(format!("this simulator has no function {name}"));
        }
        self.next += 1;
        let (id, _) = self.word()?;
        if !self.take(&Token::Close) {
            return Err("a closing parenthesis is missing".to_owned());
        }
        let encoded: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
        Ok(Expression::Compare(vec!["\0log_id".to_owned()], Operator::Equal, encoded))
    }
}

fn one_or(mut parts: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, String> {
    let characters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&first) = characters.get(at) {
        let begin = at;
        let second = characters.get(at + 1).copied();
        let (token, length) = match (first, second) {
            (space, _) if space.is_whitespace() => {
                at += 1;
                continue;
            }
            ('-', Some('-')) => {
                while characters.get(at).is_some_and(|character| *character != '\n') {
                    at += 1;
                }
                continue;
            }
            ('=', Some('~')) | ('!', Some('~')) => {
                return Err("this simulator has no regular expressions".to_owned());
            }
            ('!', Some('=')) => (Token::Operator(Operator::NotEqual), 2),
            ('<', Some('=')) => (Token::Operator(Operator::LessOrEqual), 2),
            ('>', Some('=')) => (Token::Operator(Operator::GreaterOrEqual), 2),
            ('=', _) => (Token::Operator(Operator::Equal), 1),
            ('<', _) => (Token::Operator(Operator::Less), 1),
            ('>', _) => (Token::Operator(Operator::Greater), 1),
            (':', _) => (Token::Operator(Operator::Has), 1),
            ('(', _) => (Token::Open, 1),
            (')', _) => (Token::Close, 1),
            ('.', _) => (Token::Dot, 1),
            ('-', _) => (Token::Minus, 1),
            (quote @ ('"' | '\''), _) => {
                let (word, length) = quoted(&characters[at..], quote)?;
                (Token::Word(word, true), length)
            }
            _ => {
                let bare =
                    |character: &&char| !character.is_whitespace() && !"=<>:!().\"'".contains(**character);
                let length = characters[at..].iter().take_while(bare).count();
                if length == 0 {
                    return Err(format!("syntax error at column {begin}, character {first:?}"));
                }
                (Token::Word(characters[at..at + length].iter().collect(), false), length)
            }
        };
        tokens.push((begin, token));
        at += length;
    }
    Ok(tokens)
}

/// A quoted word and how many characters it takes.
fn quoted(characters: &[char], quote: char) -> Result<(String, usize), String> {
    let mut word = String::new();
    let mut at = 1;
    while let Some(&character) = characters.get(at) {
        at += 1;
        match character {
            '\\' => {
                let Some(&escaped) = characters.get(at) else { break };
                at += 1;
                word.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                });
            }
            end if end == quote => return Ok((word, at)),
            other => word.push(other),
        }
    }
    Err("a quoted text has no end".to_owned())
}

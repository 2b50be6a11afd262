//! From words to a query.

use super::lex::{Token, tokens};
use super::{Compare, Condition, Datum, Operand, Query, Step};
use crate::logs::QueryError;
use crate::{limits, time};

/// Reads a query.
///
/// # Errors
/// A SyntaxError for all that is not understood here.
pub fn parse(text: &str) -> Result<Query, QueryError> {
    if text.chars().count() > limits::QUERY_CHARACTERS {
        return Err(QueryError::new("BadArgumentError", "The query is too long"));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let table = parser.word("a table")?;
    let mut steps = Vec::new();
    while parser.at < parser.tokens.len() {
        parser.sign("|")?;
        steps.push(parser.step()?);
    }
    Ok(Query { table, steps })
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn fail<T>(&self, wanted: &str) -> Result<T, QueryError> {
        let near = match self.tokens.get(self.at.min(self.tokens.len()).saturating_sub(1)) {
            Some(Token::Word(text) | Token::Text(text) | Token::Call(text, _)) => text.clone(),
            Some(Token::Sign(sign)) => (*sign).to_owned(),
            Some(Token::Number(number)) => number.to_string(),
            None => String::new(),
        };
        let message = format!(
            "Query could not be parsed at '{near}': {wanted} was expected. This simulator knows a table with where, extend, project, \
             order by and take."
        );
        Err(QueryError::new("SyntaxError", message))
    }

    fn word(&mut self, wanted: &str) -> Result<String, QueryError> {
        match self.next() {
            Some(Token::Word(word)) => Ok(word),
            _ => self.fail(wanted),
        }
    }

    fn sign(&mut self, sign: &'static str) -> Result<(), QueryError> {
        match self.next() {
            Some(Token::Sign(found)) if found == sign => Ok(()),
            _ => self.fail(&format!("'{sign}'")),
        }
    }

    fn is_sign(&mut self, sign: &'static str) -> bool {
        let found = self.peek() == Some(&Token::Sign(sign));
        if found {
            self.at += 1;
        }
        found
    }

    fn is_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(found)) if found == word);
        if found {
            self.at += 1;
        }
        found
    }

    fn step(&mut self) -> Result<Step, QueryError> {
        let word = self.word("an operator")?;
        match word.as_str() {
            "where" | "filter" => Ok(Step::Where(self.any()?)),
            "extend" => {
                let name = self.word("a name")?;
                self.sign("=")?;
                if !self.is_word("ingestion_time") {
                    return self.fail("'ingestion_time()'");
                }
                self.sign("(")?;
                self.sign(")")?;
                Ok(Step::Extend(name))
            }
            "project" => {
                let mut columns = Vec::new();
                loop {
                    let name = self.word("a column")?;
                    let column = if self.is_sign("=") { self.word("a column")? } else { name.clone() };
                    columns.push((name, column));
                    if !self.is_sign(",") {
                        return Ok(Step::Project(columns));
                    }
                }
            }
            "order" | "sort" => {
                if !self.is_word("by") {
                    return self.fail("'by'");
                }
                let mut columns = Vec::new();
                loop {
                    let column = self.word("a column")?;
                    // Descending is Kusto's default.
                    let ascending = self.is_word("asc");
                    if !ascending {
                        self.is_word("desc");
                    }
                    columns.push((column, ascending));
                    if !self.is_sign(",") {
                        return Ok(Step::Order(columns));
                    }
                }
            }
            "take" | "limit" => match self.next() {
                // A count of rows is a small whole number.
                Some(Token::Number(number)) if number >= 0.0 && number.fract() == 0.0 => {
                    Ok(Step::Take(number as usize))
                }
                _ => self.fail("a number"),
            },
            _ => self.fail("where, extend, project, order by or take"),
        }
    }

    fn any(&mut self) -> Result<Condition, QueryError> {
        let mut parts = vec![self.all()?];
        while self.is_word("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Any(parts) })
    }

    fn all(&mut self) -> Result<Condition, QueryError> {
        let mut parts = vec![self.one()?];
        while self.is_word("and") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::All(parts) })
    }

    fn one(&mut self) -> Result<Condition, QueryError> {
        let negated = self.is_word("not");
        if self.is_sign("(") {
            self.depth += 1;
            if self.depth > limits::QUERY_DEPTH {
                return Err(QueryError::new("BadArgumentError", "The query is nested too deep"));
            }
            let inner = self.any()?;
            self.sign(")")?;
            self.depth -= 1;
            return Ok(if negated { Condition::Not(Box::new(inner)) } else { inner });
        }
        if negated {
            return self.fail("'('");
        }
        let left = self.operand()?;
        let compare = match self.next() {
            Some(Token::Sign("==")) => Compare::Equal,
            Some(Token::Sign("!=")) => Compare::Unequal,
            Some(Token::Sign("=~")) => Compare::Like,
            Some(Token::Sign("<")) => Compare::Less,
            Some(Token::Sign("<=")) => Compare::AtMost,
            Some(Token::Sign(">")) => Compare::Greater,
            Some(Token::Sign(">=")) => Compare::AtLeast,
            Some(Token::Word(word)) => match word.as_str() {
                "startswith" | "startswith_cs" => Compare::StartsWith,
                "contains" | "contains_cs" => Compare::Contains,
                "has" | "has_cs" => Compare::Has,
                "in" => return self.among(left),
                _ => return self.fail("a comparison"),
            },
            _ => return self.fail("a comparison"),
        };
        Ok(Condition::Compare(left, compare, self.operand()?))
    }

    fn among(&mut self, left: Operand) -> Result<Condition, QueryError> {
        self.sign("(")?;
        let mut values = Vec::new();
        loop {
            match self.operand()? {
                Operand::Value(value) => values.push(value),
                Operand::Column(_) => return self.fail("a literal"),
            }
            if !self.is_sign(",") {
                break;
            }
        }
        self.sign(")")?;
        Ok(Condition::In(left, values))
    }

    fn operand(&mut self) -> Result<Operand, QueryError> {
        match self.next() {
            Some(Token::Word(word)) => Ok(Operand::Column(word)),
            Some(Token::Text(text)) => Ok(Operand::Value(Datum::Text(text))),
            Some(Token::Number(number)) => Ok(Operand::Value(Datum::Number(number))),
            Some(Token::Call(function, argument)) => {
                let nanos = if function == "ago" { ago(&argument) } else { moment(&argument) };
                let unclear =
                    || QueryError::new("SyntaxError", format!("'{function}({argument})' is no time"));
                Ok(Operand::Value(Datum::Time(nanos.ok_or_else(unclear)?)))
            }
            _ => self.fail("a column or a literal"),
        }
    }
}

/// A time in ISO 8601; without a zone it is UTC.
pub fn moment(text: &str) -> Option<i64> {
    let zoned = text.parse::<jiff::Timestamp>();
    let time = zoned.or_else(|_| format!("{text}Z").parse()).or_else(|_| format!("{text}T00:00:00Z").parse());
    time.ok().map(time::to_nanos)
}

/// `1h`, `30m`, `7d`, `10s`
fn ago(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    Some(time::to_nanos(time::now()) - number.checked_mul(seconds)?.checked_mul(1_000_000_000)?)
}

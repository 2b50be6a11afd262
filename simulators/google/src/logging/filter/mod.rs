//! The Logging query language, as far as clients of Cloud Run use it.
//!
//! `NOT` binds closest, then `OR`, then `AND`, which may be left out (Cloud Logging's own order). Text is compared
//! without regard to case. Regular expressions and functions other than `log_id` are refused by name.

mod evaluate;
mod parse;

use crate::error::{ApiError, Result};
use crate::limits;
use parse::Parser;

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Has,
}

/// A filter.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Compare(Vec<String>, Operator, String),
    /// Somewhere in the entry.
    Text(String),
}

/// What every match keeps, for the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Nanoseconds, inclusive.
    pub from: i64,
    /// Nanoseconds, inclusive.
    pub to: i64,
    /// The label of the execution.
    pub execution: Option<String>,
}

/// A parsed filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Expression);

impl Filter {
    /// Parses a filter; an empty one matches all.
    ///
    /// # Errors
    /// 400 that says what and where.
    pub fn parse(text: &str) -> Result<Self> {
        if text.chars().count() > limits::FILTER_CHARACTERS {
            let reason = format!("Unparseable filter: longer than {} characters.", limits::FILTER_CHARACTERS);
            return Err(ApiError::field("filter", reason));
        }
        Parser::parse(text)
            .map(Self)
            .map_err(|reason| ApiError::field("filter", format!("Unparseable filter: {reason}")))
    }
}

#[cfg(test)]
mod tests;

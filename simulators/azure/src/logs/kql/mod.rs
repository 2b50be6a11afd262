//! The part of the Kusto query language that queries of logs need: a table, `where`, `extend`, `project`, `order by`, `take`.

mod evaluate;
mod lex;
mod parse;
#[cfg(test)]
mod tests;

pub use evaluate::{compare, holds};
pub use parse::parse;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    /// `string`
    Text(String),
    /// `long` or `real`
    Number(f64),
    /// `datetime`, nanoseconds since 1970
    Time(i64),
}

/// What stands on a side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A column.
    Column(String),
    /// A literal.
    Value(Datum),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    Equal,
    Unequal,
    /// Without regard to case.
    Like,
    Less,
    AtMost,
    Greater,
    AtLeast,
    StartsWith,
    Contains,
    Has,
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    Any(Vec<Condition>),
    All(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Operand, Compare, Operand),
    In(Operand, Vec<Datum>),
}

/// A step of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Where(Condition),
    /// The name of a new column, with `ingestion_time()` in it.
    Extend(String),
    /// New name and column.
    Project(Vec<(String, String)>),
    /// Column, and whether it ascends.
    Order(Vec<(String, bool)>),
    Take(usize),
}

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub table: String,
    pub steps: Vec<Step>,
}

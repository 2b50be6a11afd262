//! Conditions against rows.

use std::cmp::Ordering;

use super::{Compare, Condition, Datum, Operand};

/// Whether a condition holds for a row. `column` gives a column's value.
pub fn holds(condition: &Condition, column: &dyn Fn(&str) -> Option<Datum>) -> bool {
    match condition {
        Condition::Any(parts) => parts.iter().any(|part| holds(part, column)),
        Condition::All(parts) => parts.iter().all(|part| holds(part, column)),
        Condition::Not(inner) => !holds(inner, column),
        Condition::In(operand, values) => value(operand, column).is_some_and(|value| values.contains(&value)),
        Condition::Compare(left, how, right) => match (value(left, column), value(right, column)) {
            (Some(left), Some(right)) => one(&left, *how, &right),
            _ => false,
        },
    }
}

fn value(operand: &Operand, column: &dyn Fn(&str) -> Option<Datum>) -> Option<Datum> {
    match operand {
        Operand::Column(name) => column(name),
        Operand::Value(value) => Some(value.clone()),
    }
}

fn one(left: &Datum, how: Compare, right: &Datum) -> bool {
    let texts = match (left, right) {
        (Datum::Text(left), Datum::Text(right)) => Some((left.to_lowercase(), right.to_lowercase())),
        _ => None,
    };
    match how {
        Compare::Equal => left == right,
        Compare::Unequal => left != right,
        Compare::Less => compare(left, right) == Ordering::Less,
        Compare::AtMost => compare(left, right) != Ordering::Greater,
        Compare::Greater => compare(left, right) == Ordering::Greater,
        Compare::AtLeast => compare(left, right) != Ordering::Less,
        Compare::Like => texts.is_some_and(|(left, right)| left == right),
        Compare::StartsWith => texts.is_some_and(|(left, right)| left.starts_with(&right)),
        Compare::Contains => texts.is_some_and(|(left, right)| left.contains(&right)),
        Compare::Has => texts.is_some_and(|(left, right)| {
            let mut terms = left.split(|letter: char| !letter.is_alphanumeric());
            terms.any(|term| term == right)
                || (right.contains(|letter: char| !letter.is_alphanumeric()) && left.contains(&right))
        }),
    }
}

/// The order of two values of one kind; others are equal.
pub fn compare(left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        (Datum::Text(left), Datum::Text(right)) => left.cmp(right),
        (Datum::Number(left), Datum::Number(right)) => left.total_cmp(right),
        (Datum::Time(left), Datum::Time(right)) => left.cmp(right),
        _ => Ordering::Equal,
    }
}

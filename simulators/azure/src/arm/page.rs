//! Pages of listings.

use serde_json::{Value, json};

use super::{Answer, Call, store};
use crate::error::Result;
use crate::limits;
use crate::schema::SKIP;

/// A page of the resources of a kind below a parent, each as it is shown.
///
/// # Errors
/// The database's.
pub fn page(call: &Call, kind: &str, parent: &str, show: impl Fn(Value) -> Value) -> Result<Answer> {
    page_of(call, kind, parent, |doc| Some(show(doc)))
}

/// The same of those that a filter lets through: a page may have fewer than were asked for, or none.
///
/// # Errors
/// The database's.
pub fn page_of(
    call: &Call,
    kind: &str,
    parent: &str,
    show: impl Fn(Value) -> Option<Value>,
) -> Result<Answer> {
    let after = call.query.get(SKIP).and_then(|token| token.parse().ok()).unwrap_or_default();
    let asked = ["$top", "$maxpagesize"].iter().find_map(|name| call.query.get(*name)?.parse().ok());
    let most: usize = asked.unwrap_or(limits::PAGE).clamp(1, limits::PAGE);
    let (found, next) = store::list(&call.simulator.db, kind, parent, after, most)?;
    let mut body = json!({"value": found.into_iter().filter_map(show).collect::<Vec<_>>()});
    if let Some(next) = next {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(call.query.iter().filter(|(name, _)| *name != SKIP));
        query.append_pair(SKIP, &next.to_string());
        body["nextLink"] = json!(format!("{}{}?{}", call.base, call.path, query.finish()));
    }
    Ok(Answer::ok(body))
}

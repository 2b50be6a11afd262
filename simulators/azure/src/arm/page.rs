//! Pages of listings.

use serde_json::{Value, json};

use super::{Answer, Call, store};
use crate::error::Result;
use crate::limits;

/// A page of the resources of a kind below a parent, each as it is shown.
///
/// # Errors
/// The database's.
pub fn page(call: &Call, kind: &str, parent: &str, show: impl Fn(Value) -> Value) -> Result<Answer> {
    let after = call.query.get("$skiptoken").and_then(|token| token.parse().ok()).unwrap_or_default();
    let most = call.query.get("$top").and_then(|top| top.parse().ok()).unwrap_or(limits::PAGE);
    let (found, next) = store::list(&call.simulator.db, kind, parent, after, most.clamp(1, limits::PAGE))?;
    let mut body = json!({"value": found.into_iter().map(show).collect::<Vec<_>>()});
    if let Some(next) = next {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(call.query.iter().filter(|(name, _)| *name != "$skiptoken"));
        query.append_pair("$skiptoken", &next.to_string());
        body["nextLink"] = json!(format!("{}{}?{}", call.base, call.path, query.finish()));
    }
    Ok(Answer::ok(body))
}

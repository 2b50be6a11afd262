//! The filters of `docker events`.

use bollard_stubs::models::EventMessage;

use crate::{Filters, Result, filters, images::Reference};

const ACCEPTED: [&str; 14] = [
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];

/// Names of things, of which one has to match an event about such a thing.
const THINGS: [&str; 8] = ["config", "container", "daemon", "network", "node", "plugin", "secret", "service"];

pub(super) struct EventFilter(Filters);

impl EventFilter {
    /// Errors: 400 for an unknown filter.
    pub fn parse(filters: &Filters) -> Result<Self> {
        filters::accept(filters, &ACCEPTED)?;
        Ok(Self(
            filters
                .iter()
                .filter(|(_, values)| !values.is_empty())
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
        ))
    }

    pub fn matches(&self, event: &EventMessage) -> bool {
        let typ = event.typ.map(|typ| typ.to_string()).unwrap_or_default();
        let scope = event.scope.map(|scope| scope.to_string()).unwrap_or_default();
        let action = event.action.as_deref().unwrap_or_default();
        let empty = std::collections::HashMap::new();
        let actor = event.actor.as_ref();
        let id = actor.and_then(|actor| actor.id.as_deref()).unwrap_or_default();
        let attributes = actor.and_then(|actor| actor.attributes.as_ref()).unwrap_or(&empty);
        let attribute = |key: &str| attributes.get(key).map(String::as_str);
        let any = |name: &str, test: &dyn Fn(&str) -> bool| {
            self.0.get(name).is_none_or(|values| values.iter().any(|value| test(value)))
        };
        let verb = action.split(':').next().unwrap_or(action);
        any("type", &|value| value == typ)
            && any("scope", &|value| value == scope)
            && any("event", &|value| value == action || value == verb)
            && self.0.get("label").is_none_or(|wanted| filters::labels(wanted, attribute))
            && THINGS.iter().all(|thing| {
                any(thing, &|value| {
                    let name = attribute("name").unwrap_or_default();
                    typ == *thing && (value == name || value == format!("/{name}") || id.starts_with(value))
                })
            })
            && any("volume", &|value| typ == "volume" && id == value)
            && any("image", &|value| {
                let name =
                    if typ == "image" { attribute("name") } else { attribute("image") }.unwrap_or_default();
                value == name
                    || (typ == "image" && value == id)
                    || bare(name).is_some_and(|bare| bare == value)
            })
    }
}

/// A name without tag and digest.
fn bare(name: &str) -> Option<String> {
    Reference::parse(name).ok().map(|reference| reference.name)
}

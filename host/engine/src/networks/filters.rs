//! The filters of `docker network ls`, with Docker's exact meanings.

use super::Network;
use crate::{
    Filters, Result,
    filters::{self, Patterns, invalid_value},
};

const ACCEPTED: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];

pub(super) struct ListFilters {
    ids: Patterns,
    names: Patterns,
    drivers: Vec<String>,
    scopes: Vec<String>,
    types: Vec<String>,
    labels: Vec<String>,
    dangling: Option<bool>,
}

impl ListFilters {
    /// Errors: 400 for an unknown filter or value.
    pub fn parse(filters: &Filters) -> Result<Self> {
        filters::accept(filters, &ACCEPTED)?;
        let values = |name: &str| filters.get(name).cloned().unwrap_or_default();
        let types = values("type");
        if let Some(other) = types.iter().find(|value| !["builtin", "custom"].contains(&value.as_str())) {
            return Err(invalid_value("type", other));
        }
        Ok(Self {
            ids: Patterns::new(filters.get("id")),
            names: Patterns::new(filters.get("name")),
            drivers: values("driver"),
            scopes: values("scope"),
            types,
            labels: values("label"),
            dangling: filters::flag(filters, "dangling")?,
        })
    }

    /// `in_use`: a container is on it at the moment.
    pub fn matches(&self, network: &Network, label: impl Fn(&str) -> Option<String>, in_use: bool) -> bool {
        let any = |wanted: &[String], actual: &str| {
            wanted.is_empty() || wanted.iter().any(|wanted| wanted == actual)
        };
        let labelled = self.labels.iter().all(|wanted| match wanted.split_once('=') {
            Some((key, value)) => label(key).is_some_and(|actual| actual == value),
            None => label(wanted).is_some(),
        });
        self.ids.matches(&network.id)
            && self.names.matches(&network.name)
            && any(&self.drivers, &network.driver)
            && any(&self.scopes, "local")
            && any(&self.types, if network.builtin { "builtin" } else { "custom" })
            && labelled
            // Those that are always there are never left over.
            && self.dangling.is_none_or(|dangling| dangling != (in_use || network.builtin))
    }
}

//! The filters of `docker ps`, with Docker's exact meanings.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    health, network,
    ports::{self, Ports},
    process, status,
    table::{Entry, Table, View},
};
use crate::{
    Error, ErrorKind, Filters, Result,
    filters::{self, Patterns, invalid_value},
    images::Names,
};

const ACCEPTED: [&str; 15] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "isolation",
    "is-task",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];

/// Parsed, with names resolved.
pub(super) struct ListFilters {
    /// At least one is given.
    any: bool,
    ids: Patterns,
    names: Patterns,
    statuses: Vec<String>,
    exited: Vec<i32>,
    labels: Vec<String>,
    /// Image ids; some that match nothing when none was found.
    ancestors: Option<Vec<String>>,
    before: Option<(Timestamp, String)>,
    since: Option<(Timestamp, String)>,
    health: Vec<String>,
    task: Option<bool>,
    networks: Vec<String>,
    volumes: Vec<String>,
    published: Vec<Ports>,
    exposed: Vec<Ports>,
}

impl ListFilters {
    pub fn parse(filters: &Filters, containers: &Table, images: &Names) -> Result<Self> {
        filters::accept(filters, &ACCEPTED)?;
        let values = |name: &str| filters.get(name).cloned().unwrap_or_default();
        let known = |name: &str, accepted: &[&str]| -> Result<Vec<String>> {
            let values = values(name);
            match values.iter().find(|value| !accepted.contains(&value.as_str())) {
                Some(value) => Err(invalid_value(name, value)),
                None => Ok(values),
            }
        };
        let ports =
            |name: &str| values(name).iter().map(|value| ports::parse(value)).collect::<Result<Vec<_>>>();
        let other = |name: &str| -> Result<Option<(Timestamp, String)>> {
            let entry = values(name).first().map(|value| containers.find(value)).transpose()?;
            Ok(entry.map(|entry| (entry.spec.created, entry.id().to_owned())))
        };
        let exited = values("exited")
            .into_iter()
            .map(|value| value.parse().map_err(|_| invalid_value("exited", &value)));
        if let Some(value) = values("isolation").iter().find(|value| *value != "default") {
            return Err(Error::new(ErrorKind::Invalid, format!("invalid filter 'isolation={value}'")));
        }
        let ancestors = filters.get("ancestor").filter(|values| !values.is_empty()).map(|values| {
            values.iter().map(|value| images.resolve(value).unwrap_or(value).to_owned()).collect()
        });
        Ok(Self {
            any: !filters.is_empty(),
            ids: Patterns::new(filters.get("id")),
            names: Patterns::new(filters.get("name")),
            statuses: known(
                "status",
                &["created", "restarting", "running", "removing", "paused", "exited", "dead"],
            )?,
            exited: exited.collect::<Result<_>>()?,
            labels: values("label"),
            ancestors,
            before: other("before")?,
            since: other("since")?,
            health: known("health", &["starting", "healthy", "unhealthy", "none"])?,
            task: filters::flag(filters, "is-task")?,
            networks: values("network"),
            volumes: values("volume"),
            published: ports("publish")?,
            exposed: ports("expose")?,
        })
    }

    /// A status is looked for among all containers.
    pub fn imply_all(&self) -> bool {
        !self.statuses.is_empty()
    }

    pub fn matches(&self, entry: &Arc<Entry>, view: &View) -> bool {
        if !self.any {
            return true;
        }
        let spec = &entry.spec;
        let key = (spec.created, spec.id.as_str());
        let any = |wanted: &[String], test: &dyn Fn(&str) -> bool| {
            wanted.is_empty() || wanted.iter().any(|value| test(value))
        };
        self.ids.matches(&spec.id)
            && (self.names.matches(&view.name) || self.names.matches(&format!("/{}", view.name)))
            && any(&self.statuses, &|value| value == status::word(&view.state))
            && (self.exited.is_empty()
                || (view.state.launched > 0
                    && !view.state.is_live()
                    && !view.state.is_up()
                    && self.exited.contains(&view.state.exit_code)))
            && filters::labels(&self.labels, |key| spec.label(key))
            && self
                .ancestors
                .as_ref()
                .is_none_or(|ids| ids.contains(&spec.image_id) || ids.contains(&spec.image))
            && self.before.as_ref().is_none_or(|(time, id)| key < (*time, id.as_str()))
            && self.since.as_ref().is_none_or(|(time, id)| key > (*time, id.as_str()))
            && any(&self.health, &|value| {
                value == view.state.health.as_ref().map_or("none", |health| health::word(health.status))
            })
            && self.task != Some(true)
            && any(&self.networks, &|value| network::is_on(view, value))
            && any(&self.volumes, &|value| process::tmpfs(spec).iter().any(|(path, _)| path == value))
            && (self.published.is_empty()
                || overlap(&self.published, spec.host.port_bindings.iter().flatten().map(|(port, _)| port)))
            && (self.exposed.is_empty() || overlap(&self.exposed, spec.config.exposed_ports.iter().flatten()))
    }
}

fn overlap<'a>(wanted: &[Ports], have: impl Iterator<Item = &'a String>) -> bool {
    have.filter_map(|port| ports::parse(port).ok()).any(|have| {
        wanted.iter().any(|wanted| {
            wanted.protocol == have.protocol && wanted.first <= have.last && have.first <= wanted.last
        })
    })
}

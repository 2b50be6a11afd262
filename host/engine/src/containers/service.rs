//! Containers that are services: the cloud gives them an address in its network, which others there can dial.

use std::collections::BTreeSet;

use bollard_stubs::models::{ContainerConfig, PortTypeEnum};
use sockerless_ports::backend::Manifest;

use super::{Spec, parse_port, validate};
use crate::{Error, ErrorKind, Result, error::needs_agent};

/// `true` makes a container a service of its backend; `false` as if it were not there.
const LABEL_SERVICE: &str = "sockerless.service";

fn invalid<T>(message: String) -> Result<T> {
    Err(Error::new(ErrorKind::Invalid, message))
}

/// What the label says. Errors: 400 for what is neither `true` nor `false`.
pub(crate) fn asked(config: &ContainerConfig) -> Result<bool> {
    match config.labels.as_ref().and_then(|labels| labels.get(LABEL_SERVICE)).map(String::as_str) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(text) => invalid(format!("invalid label {LABEL_SERVICE}={text}: true or false")),
    }
}

/// Whether a container is one. Its label was read when it was created.
pub(crate) fn is_service(spec: &Spec) -> bool {
    spec.label(LABEL_SERVICE) == Some("true")
}

/// The TCP ports that a container publishes or exposes, ascending.
pub(crate) fn ports(spec: &Spec) -> Vec<u16> {
    let bound = spec.host.port_bindings.iter().flatten().map(|(text, _)| text);
    let all =
        spec.config.exposed_ports.iter().flatten().chain(bound).filter_map(|text| parse_port(text).ok());
    let tcp = all.filter(|ports| ports.protocol == PortTypeEnum::TCP);
    tcp.flat_map(|ports| ports.first..=ports.last).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Errors: 501 for a backend that has none, or without an agent, who alone can tell how the process ended; 400 for one
/// that listens nowhere, or that shall end by the clock.
pub(crate) fn check(spec: &Spec, manifest: &Manifest, with_agent: bool) -> Result<()> {
    if !is_service(spec) {
        return Ok(());
    }
    if !manifest.features.inbound {
        let message = format!(
            "the label {LABEL_SERVICE}: the backend {} runs containers as jobs, and nothing in its network can open a \
             connection to a job; published ports and the names of networks work without the label",
            manifest.name
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    if !with_agent {
        return Err(needs_agent(&format!("services (the label {LABEL_SERVICE})")));
    }
    if ports(spec).is_empty() {
        return invalid(format!(
            "the label {LABEL_SERVICE}: a service has at least one TCP port that it publishes or exposes (-p, --expose)"
        ));
    }
    if validate::timeout(&spec.config)?.is_some_and(|timeout| !timeout.is_zero()) {
        return invalid(format!(
            "the labels {LABEL_SERVICE} and {}: a service runs until it is stopped",
            validate::LABEL_TIMEOUT
        ));
    }
    Ok(())
}

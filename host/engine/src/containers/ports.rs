//! Ports as Docker writes them: `80`, `80/tcp`, `8000-8010/udp`.

use bollard_stubs::models::PortTypeEnum;

use crate::{Error, ErrorKind, Result};

/// A range of ports of one protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports {
    pub first: u16,
    pub last: u16,
    pub protocol: PortTypeEnum,
}

/// Errors: 400.
pub(crate) fn parse(text: &str) -> Result<Ports> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => PortTypeEnum::TCP,
        "udp" => PortTypeEnum::UDP,
        "sctp" => PortTypeEnum::SCTP,
        other => return Err(Error::new(ErrorKind::Invalid, format!("invalid proto: {other}"))),
    };
    let (first, last) = self::range(range).ok_or_else(|| invalid(range))?;
    if first == 0 {
        return Err(invalid(range));
    }
    Ok(Ports { first, last, protocol })
}

/// The container's port in a binding, which is a single one. Errors: 400.
pub(crate) fn parse_one(text: &str) -> Result<Ports> {
    let ports = parse(text)?;
    if ports.first != ports.last {
        return Err(invalid(text.split('/').next().unwrap_or(text)));
    }
    Ok(ports)
}

/// The port of a binding: empty, a port or a range. Errors: 400.
pub(crate) fn host_port(text: &str) -> Result<Option<(u16, u16)>> {
    if text.is_empty() {
        return Ok(None);
    }
    range(text.split('/').next().unwrap_or(text)).map(Some).ok_or_else(|| invalid(text))
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

fn invalid(text: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("invalid port specification: \"{text}\""))
}

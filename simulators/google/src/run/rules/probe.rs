//! Startup probes.

use serde_json::{Value, json};

use super::{default, unimplemented};
use crate::error::{ApiError, Result};
use crate::limits;

/// Checks a startup probe, if there is one, and fills in the defaults. `at` is its place.
pub fn startup(probe: &mut Value, at: &str) -> Result<()> {
    if probe.is_null() {
        return Ok(());
    }
    let wrong = |field: &str, reason: String| {
        Err(ApiError::field(&format!("{at}.{field}"), format!("{at}.{field}: {reason}")))
    };
    if !probe["grpc"].is_null() {
        return Err(unimplemented(&format!("{at}.grpc"), "probes by gRPC"));
    }
    let (action, field) = match (probe["tcpSocket"].is_object(), probe["httpGet"].is_object()) {
        (true, false) => ("tcpSocket", "tcp_socket"),
        (false, true) => ("httpGet", "http_get"),
        _ => {
            let reason = format!("{at}: Exactly one of httpGet, tcpSocket, or grpc must be specified.");
            return Err(ApiError::field(at, reason));
        }
    };
    // The default would be the container's port, and jobs have none.
    if !probe[action]["port"].as_i64().is_some_and(|port| (1..=65_535).contains(&port)) {
        return wrong(&format!("{field}.port"), "Must be in the range 1 to 65535.".to_owned());
    }
    if action == "httpGet" {
        default(&mut probe[action], "path", json!("/"));
        let line = |text: &Value| text.as_str().is_some_and(|text| !text.contains(['\r', '\n']));
        let path = &probe[action]["path"];
        if !path.as_str().is_some_and(|path| path.starts_with('/') && !path.contains([' ', '\r', '\n'])) {
            return wrong("http_get.path", "Must be an absolute path.".to_owned());
        }
        let mut headers = probe[action]["httpHeaders"].as_array().into_iter().flatten();
        if !headers
            .all(|header| line(&header["name"]) && (header["value"].is_null() || line(&header["value"])))
        {
            return wrong("http_get.http_headers", "Invalid header.".to_owned());
        }
    }
    default(probe, "timeoutSeconds", json!(1));
    default(probe, "periodSeconds", json!(10));
    default(probe, "failureThreshold", json!(3));
    let number = |field: &str| probe[field].as_i64().unwrap_or_default();
    let (delay, timeout, period) =
        (number("initialDelaySeconds"), number("timeoutSeconds"), number("periodSeconds"));
    let most = limits::STARTUP_PROBE_SECONDS;
    for (field, value, least) in
        [("initial_delay_seconds", delay, 0), ("timeout_seconds", timeout, 1), ("period_seconds", period, 1)]
    {
        if !(least..=most).contains(&value) {
            return wrong(field, format!("Must be between {least} and {most}."));
        }
    }
    if period < timeout {
        return wrong("period_seconds", "Must be greater or equal than timeout_seconds.".to_owned());
    }
    if number("failureThreshold") < 1 {
        return wrong("failure_threshold", "Minimum value is 1.".to_owned());
    }
    Ok(())
}

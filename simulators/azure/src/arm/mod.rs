//! Azure Resource Manager: who calls, what for, and in which group; the providers answer.

mod answer;
mod call;
pub mod operations;
mod page;
mod scope;
pub mod store;
pub mod tags;
pub mod throttle;

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method, Request};
use serde_json::Value;

pub use answer::Answer;
pub use call::Call;
pub use page::{page, page_of};

use crate::auth::{self, Audience};
use crate::error::{ArmError, Result};
use crate::schema::{self, Api};
use crate::server::{Doom, Simulator};
use crate::{app, dns, ids, limits, storage};
use scope::scope;
use throttle::Kind;

/// Whether a path is Resource Manager's.
pub fn is_arm(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    first.eq_ignore_ascii_case("subscriptions") || first.eq_ignore_ascii_case("providers")
}

/// Answers a call.
pub async fn serve(simulator: Arc<Simulator>, base: &str, request: Request<Body>) -> Response {
    let kind = Kind::of(request.method());
    let mut left = None;
    let outcome = call(&simulator, base, request, kind, &mut left).await;
    let mut response = match outcome {
        Ok(answer) => answer.into_response(),
        Err(error) => error.into_response(),
    };
    let request_id = ids::uuid();
    let mut set = |name: &'static str, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    };
    set("x-ms-request-id", &request_id);
    set("x-ms-correlation-request-id", &request_id);
    if let Some(left) = left {
        set(kind.header(), &u64::to_string(&left));
    }
    response
}

async fn call(
    simulator: &Arc<Simulator>,
    base: &str,
    request: Request<Body>,
    kind: Kind,
    left: &mut Option<u64>,
) -> Result<Answer> {
    let principal = auth::check(simulator, request.headers(), Audience::Arm)?;
    let (parts, body) = request.into_parts();
    let path = decoded(parts.uri.path());
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let subscription = match segments.as_slice() {
        [first, subscription, ..] if first.eq_ignore_ascii_case("subscriptions") => *subscription,
        _ => return Err(no_route(&path)),
    };
    if !subscription.eq_ignore_ascii_case(&simulator.config.subscription) {
        let message = format!("The subscription '{subscription}' could not be found.");
        return Err(ArmError::not_found("SubscriptionNotFound", message));
    }
    *left = Some(throttle(simulator, &principal, kind)?);
    let group = match segments.as_slice() {
        [_, _, word, group, ..] if word.eq_ignore_ascii_case("resourceGroups") => {
            let known = simulator.config.groups.iter().find(|known| known.eq_ignore_ascii_case(group));
            known.cloned().ok_or_else(|| {
                ArmError::not_found(
                    "ResourceGroupNotFound",
                    format!("Resource group '{group}' could not be found."),
                )
            })?
        }
        _ => String::new(),
    };
    let place = segments.iter().position(|segment| segment.eq_ignore_ascii_case("providers"));
    let mut call = Call {
        simulator: simulator.clone(),
        base: base.to_owned(),
        subscription: simulator.config.subscription.clone(),
        group,
        namespace: place
            .and_then(|place| segments.get(place + 1))
            .map_or_else(String::new, |name| (*name).to_owned()),
        path: path.clone(),
        names: Vec::new(),
        query: url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect(),
        raw_query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: Value::Null,
        doom: parts.extensions.get::<Doom>().map(|doom| doom.0.clone()),
    };
    if place.is_none() {
        return scope(&call, &parts.method, segments.len());
    }
    if parts.method == Method::GET
        && let Some((style, id)) = operations::of_path(&segments)
    {
        return operations::get(&call, style, &id, &path);
    }
    let api: &Api = match call.namespace.to_ascii_lowercase().as_str() {
        "microsoft.app" => schema::appcontainers(),
        "microsoft.storage" => schema::storage(),
        "microsoft.network" if dns::is_dns(&segments) => schema::privatedns(),
        _ => return Err(no_provider(&call.namespace)),
    };
    let Some((name, method, names)) = api.find(parts.method.as_str(), &segments) else {
        return Err(no_method(api, &parts.method, &segments, &path));
    };
    call.namespace = canonical_namespace(&call.namespace);
    // Subscription and group stand before the resources' own names.
    call.names = names.into_iter().skip(if call.group.is_empty() { 1 } else { 2 }).collect();
    let resource = segments.iter().skip(place.unwrap_or_default() + 1).step_by(2).skip(1).copied();
    let resource = resource.collect::<Vec<_>>().join("/");
    let body = axum::body::to_bytes(body, limits::JSON_BODY).await.map_err(|_| {
        ArmError::bad("RequestEntityTooLarge", "The request entity is larger than 4194304 bytes.")
    })?;
    call.query = api.query(method, &resource, parts.uri.query())?;
    call.body = api.request(method, &body)?;
    let name = name.to_owned();
    match call.namespace.as_str() {
        "Microsoft.App" => app::call(&name, call).await,
        "Microsoft.Storage" => storage::call(&name, call).await,
        _ => dns::call(&name, call).await,
    }
}

/// Segments may be encoded; names of resources hold nothing that needs it but a record's `@`.
fn decoded(path: &str) -> String {
    percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned()
}

fn throttle(simulator: &Simulator, principal: &str, kind: Kind) -> Result<u64> {
    simulator.throttle.take(principal, kind, Instant::now()).map_err(|after| {
        let seconds = after.as_secs_f64().ceil().max(1.0);
        let message = format!(
            "Number of '{}' requests for subscription '{}' actor '{principal}' exceeded. Please try again after '{seconds:.0}' \
             seconds after additional tokens are available. Refer to https://aka.ms/arm-throttling for additional information.",
            kind.word(),
            simulator.config.subscription
        );
        let code = "SubscriptionRequestsThrottled";
        ArmError {
            retry_after: Some(after),
            ..ArmError::new(http::StatusCode::TOO_MANY_REQUESTS, code, message)
        }
    })
}

fn canonical_namespace(name: &str) -> String {
    ["Microsoft.App", "Microsoft.Storage", "Microsoft.Network"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(name))
        .unwrap_or(name)
        .to_owned()
}

fn no_route(path: &str) -> ArmError {
    ArmError::not_found(
        "InvalidRequestUri",
        format!("No resource of Azure that is simulated is at '{path}'."),
    )
}

fn no_provider(namespace: &str) -> ArmError {
    ArmError::not_found(
        "InvalidResourceNamespace",
        format!("The resource namespace '{namespace}' is invalid: it is not simulated."),
    )
}

fn no_method(api: &Api, method: &Method, segments: &[&str], path: &str) -> ArmError {
    if api.has_path(segments) {
        let message = format!("The requested resource does not support http method '{method}'.");
        return ArmError::new(http::StatusCode::METHOD_NOT_ALLOWED, "HttpMethodNotAllowed", message);
    }
    no_route(path)
}

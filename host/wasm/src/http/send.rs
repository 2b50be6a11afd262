//! One exchange: checked, signed, sent, and bounded.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response,
    header::{CONTENT_LENGTH, HOST},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use url::Url;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::{
    client::AddressRefused,
    credential::take_name,
    error::{Failure, classify},
    grant::Admission,
};
use crate::{
    limits::HTTP_SILENCE,
    state::{CallContext, Fault},
};

/// Carries a guest's request out. A refusal is logged and remembered for the end of the call.
pub(crate) async fn send(
    call: &Arc<CallContext>,
    request: Request<WasiBody>,
    options: RequestOptions,
) -> Result<Response<WasiBody>, Error> {
    match exchange(call, request, options).await {
        Ok(response) => {
            call.note(None);
            Ok(response)
        }
        Err(failure) => {
            call.note(Some(failure.fault));
            Err(failure.wasi)
        }
    }
}

async fn exchange(
    call: &Arc<CallContext>,
    request: Request<WasiBody>,
    options: RequestOptions,
) -> Result<Response<WasiBody>, Failure> {
    let (mut head, body) = request.into_parts();
    let url = Url::parse(&head.uri.to_string())
        .map_err(|error| Failure::denied(format!("{} is no URL: {error}", head.uri)))?;
    // The query may carry a signature: it stays out of messages.
    let what = format!("{} {}{}", head.method, url.origin().ascii_serialization(), url.path());
    let denied = |why: String| Failure::denied(format!("{what}: {why}"));

    let admission = admit(call, &url).map_err(denied)?;
    let named = take_name(&mut head.headers, &admission).map_err(denied)?;
    let permit = Arc::clone(&call.powers.requests).acquire_owned().await.map_err(|_| {
        Failure::transport(Error::ConnectionTerminated, format!("{what}: the plugin host is closed"))
    })?;

    let credential = |error| Failure { wasi: Error::HttpRequestDenied, fault: Fault::Credential(error) };
    let body = collect(call, &what, body).await?;
    let credentials = &*call.shared.credentials;
    let body =
        call.shared.placeholders.substitute(body, &admission, credentials).await.map_err(credential)?;
    frame(&mut head, &body);
    if let Some(named) = named {
        let signer = credentials.resolve(&named.name, named.scope.as_deref()).await.map_err(credential)?;
        signer
            .sign(&mut head, &body)
            .map_err(|error| denied(format!("credential {:?}: {error}", named.name)))?;
    }

    let clients = &call.shared.clients;
    let what = match clients.proxy(&url) {
        Some(proxy) => format!("{what} through the proxy {proxy}"),
        None => what,
    };
    let request = reqwest::Request::try_from(Request::from_parts(head, body))
        .map_err(|error| classify(&what, &error))?;
    let client = clients.get(&url, admission.operator_named).map_err(|error| classify(&what, &error))?;
    let patience = options.first_byte_timeout.map_or(HTTP_SILENCE, |wish| wish.min(HTTP_SILENCE));
    let response = timeout(patience, client.execute(request))
        .await
        .map_err(|_| {
            let text = format!("{what}: no answer within {} s", patience.as_secs_f32());
            Failure::transport(Error::HttpResponseTimeout, text)
        })?
        .map_err(|error| classify(&what, &error))?;
    bound(call, what, response.into(), permit)
}

fn admit(call: &CallContext, url: &Url) -> Result<Admission, String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL must not carry a user or a password".to_owned());
    }
    let admission = call.powers.grants.admit(url).ok_or_else(|| {
        format!("the host is not granted to this plugin; granted are: {}", call.powers.grants.hosts())
    })?;
    if let Some(host) = url.host().filter(|_| !admission.operator_named) {
        AddressRefused::check(host).map_err(|refused| refused.to_string())?;
    }
    Ok(admission)
}

/// Reads the guest's body. It is held whole: a broken connection can be tried again, placeholders
/// can be replaced, and a signature can cover it.
async fn collect(call: &CallContext, what: &str, body: WasiBody) -> Result<Bytes, Failure> {
    let limit = call.shared.limits.request_bytes;
    let collected = Limited::new(body, limit).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let text = format!("{what}: the request's body is larger than {limit} bytes");
            Failure::transport(Error::HttpRequestBodySize(Some(limit as u64)), text)
        } else {
            Failure::transport(
                Error::ConnectionTerminated,
                format!("{what}: the plugin broke off its body: {error}"),
            )
        }
    })?;
    Ok(collected.to_bytes())
}

/// Makes the headers fit the body that is really sent.
fn frame(head: &mut http::request::Parts, body: &Bytes) {
    head.headers.remove(HOST);
    head.headers.remove(CONTENT_LENGTH);
    // Front ends of clouds answer 411 to a POST without a length.
    if body.is_empty() && matches!(head.method, Method::POST | Method::PUT | Method::PATCH) {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

/// Streams the answer's body to the guest, up to the limit.
fn bound(
    call: &Arc<CallContext>,
    what: String,
    response: Response<reqwest::Body>,
    permit: OwnedSemaphorePermit,
) -> Result<Response<WasiBody>, Failure> {
    let limit = call.shared.limits.response_bytes;
    let too_large = format!("{what}: the answer is larger than {limit} bytes");
    let size = Error::HttpResponseBodySize(Some(limit as u64));
    let announced =
        response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let has_body = !what.starts_with("HEAD ");
    if has_body && announced.is_some_and(|length: u64| length > limit as u64) {
        return Err(Failure::transport(size, too_large));
    }
    let call = Arc::clone(call);
    Ok(response.map(|body| {
        Limited::new(body, limit)
            .map_err(move |error| {
                // The place in the queue is held as long as the body.
                let _held = &permit;
                let failure = if error.is::<LengthLimitError>() {
                    let size = Error::HttpResponseBodySize(Some(limit as u64));
                    Failure::transport(size, too_large.clone())
                } else if let Some(error) = error.downcast_ref::<reqwest::Error>() {
                    classify(&what, error)
                } else {
                    Failure::transport(Error::ConnectionTerminated, format!("{what}: {error}"))
                };
                call.note(Some(failure.fault));
                failure.wasi
            })
            .boxed_unsync()
    }))
}

//! One exchange: checked, signed, sent, and bounded.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_LENGTH, HOST},
    request::Parts,
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use sockerless_credentials::Signer;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use url::Url;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::{
    client::AddressRefused,
    credential::{Named, take_name},
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
    let clients = &call.shared.clients;
    let way = Outgoing {
        client: clients.get(&url, admission.operator_named).map_err(|error| classify(&what, &error))?,
        patience: options.first_byte_timeout.map_or(HTTP_SILENCE, |wish| wish.min(HTTP_SILENCE)),
        what: match clients.proxy(&url) {
            Some(proxy) => format!("{what} through the proxy {proxy}"),
            None => what,
        },
    };
    let Some(named) = named else {
        let response = way.carry(head, body).await?;
        return bound(call, way.what, response.into(), permit);
    };
    let scope = named.scope.as_deref();
    let signer = credentials.resolve(&named.name, scope).await.map_err(credential)?;
    let response = way.signed(head.clone(), body.clone(), &named, &signer).await?;
    if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        // A secret that is kept here may have been renewed. With the same one the answer would be the same.
        credentials.forget(&named.name, scope);
        match credentials.resolve(&named.name, scope).await {
            Ok(renewed) if renewed != signer => {
                drop(response);
                let response = way.signed(head, body, &named, &renewed).await?;
                return bound(call, way.what, response.into(), permit);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(request = way.what, %error, "refused, and no other credential"),
        }
    }
    bound(call, way.what, response.into(), permit)
}

/// How a request goes out.
struct Outgoing<'a> {
    client: &'a reqwest::Client,
    /// How long the first byte of the answer may take.
    patience: Duration,
    /// The request, for messages.
    what: String,
}

impl Outgoing<'_> {
    async fn signed(
        &self,
        mut head: Parts,
        body: Bytes,
        named: &Named,
        signer: &Signer,
    ) -> Result<reqwest::Response, Failure> {
        let bad = |error| Failure::denied(format!("{}: credential {:?}: {error}", self.what, named.name));
        signer.sign(&mut head, &body).map_err(bad)?;
        self.carry(head, body).await
    }

    async fn carry(&self, head: Parts, body: Bytes) -> Result<reqwest::Response, Failure> {
        let request = reqwest::Request::try_from(Request::from_parts(head, body))
            .map_err(|error| classify(&self.what, &error))?;
        timeout(self.patience, self.client.execute(request))
            .await
            .map_err(|_| {
                let text = format!("{}: no answer within {} s", self.what, self.patience.as_secs_f32());
                Failure::transport(Error::HttpResponseTimeout, text)
            })?
            .map_err(|error| classify(&self.what, &error))
    }
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

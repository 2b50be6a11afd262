//! The daemon as host: HTTP over `wasi:http`, the rest over the contract's own imports.

use wasip2::http::{
    outgoing_handler,
    types::{
        ErrorCode as WireError, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, OutgoingBody,
        OutgoingRequest, RequestOptions, Scheme, http_error_code,
    },
};
use wasip2::io::streams::StreamError;

use crate::{
    Result,
    bindings::sockerless::backend::{config, credentials, log},
    host::{CredentialInfo, Host, Level, Transport},
    http::{CREDENTIAL_HEADER, Method, Request, Response, SendError},
    limits, url,
};

/// The host of a component.
pub struct Daemon;

impl Host for Daemon {
    fn setting(&self, name: &str) -> Option<String> {
        config::get(name)
    }

    fn now(&self) -> u64 {
        let now = wasip2::clocks::wall_clock::now();
        now.seconds * 1000 + u64::from(now.nanoseconds) / 1_000_000
    }

    fn log(&self, level: Level, message: &str) {
        log::write(level, message);
    }

    fn credential(&self, name: &str) -> Result<CredentialInfo> {
        credentials::describe(name)
    }

    fn placeholder(&self, name: &str, scope: Option<&str>) -> Result<String> {
        credentials::placeholder(name, scope)
    }
}

impl Transport for Daemon {
    fn send(&self, request: &Request) -> std::result::Result<Response, SendError> {
        let pending = begin(request);
        finish(request, pending)
    }

    fn send_all(&self, requests: &[Request]) -> Vec<std::result::Result<Response, SendError>> {
        let mut answers = Vec::with_capacity(requests.len());
        for some in requests.chunks(limits::REQUESTS_IN_FLIGHT) {
            let pending: Vec<_> = some.iter().map(begin).collect();
            answers.extend(some.iter().zip(pending).map(|(request, pending)| finish(request, pending)));
        }
        answers
    }
}

/// Sends the request off, without waiting for the answer.
fn begin(request: &Request) -> std::result::Result<FutureIncomingResponse, SendError> {
    let invalid = |what: &str| SendError::Invalid(format!("{what}: {}", request.url));
    let parts = url::parse(&request.url).ok_or_else(|| invalid("not an absolute URL"))?;

    let mut headers: Vec<(String, Vec<u8>)> =
        request.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    if let Some(credential) = &request.credential {
        headers.push((CREDENTIAL_HEADER.into(), credential.clone().into_bytes()));
    }
    // Google and others answer 411 to a POST that does not say how long it is.
    let writes = matches!(request.method, Method::Post | Method::Put | Method::Patch);
    if writes || request.body.is_some() {
        let length = request.body.as_ref().map_or(0, Vec::len);
        headers.push(("content-length".into(), length.to_string().into_bytes()));
    }
    let headers = Fields::from_list(&headers).map_err(|_| invalid("a header cannot be sent"))?;

    let out = OutgoingRequest::new(headers);
    let scheme = if parts.secure { Scheme::Https } else { Scheme::Http };
    let path = match parts.path {
        "" => "/".to_owned(),
        query if query.starts_with('?') => format!("/{query}"),
        path => path.to_owned(),
    };
    out.set_method(&method(request.method))
        .and_then(|()| out.set_scheme(Some(&scheme)))
        .and_then(|()| out.set_authority(Some(parts.authority)))
        .and_then(|()| out.set_path_with_query(Some(&path)))
        .map_err(|()| invalid("cannot be sent"))?;

    let body = match &request.body {
        Some(_) => Some(out.body().map_err(|()| invalid("no body"))?),
        None => None,
    };
    let pending = outgoing_handler::handle(out, Some(options())).map_err(|error| explain(request, &error))?;
    if let (Some(body), Some(content)) = (body, &request.body) {
        // A provider may answer (413, 404) and close before it has read everything; then that
        // answer says more than the broken write.
        if write(&body, content).is_ok() {
            let _ = OutgoingBody::finish(body, None);
        }
    }
    Ok(pending)
}

fn method(method: Method) -> wasip2::http::types::Method {
    use wasip2::http::types::Method as Wire;
    match method {
        Method::Get => Wire::Get,
        Method::Head => Wire::Head,
        Method::Post => Wire::Post,
        Method::Put => Wire::Put,
        Method::Patch => Wire::Patch,
        Method::Delete => Wire::Delete,
    }
}

/// A host that knows no such timeouts says so; then its own hold.
fn options() -> RequestOptions {
    let options = RequestOptions::new();
    let ns = |ms: u64| Some(ms * 1_000_000);
    let _ = options.set_connect_timeout(ns(limits::CONNECT_TIMEOUT_MS));
    let _ = options.set_first_byte_timeout(ns(limits::FIRST_BYTE_TIMEOUT_MS));
    let _ = options.set_between_bytes_timeout(ns(limits::BETWEEN_BYTES_TIMEOUT_MS));
    options
}

fn write(body: &OutgoingBody, content: &[u8]) -> std::result::Result<(), ()> {
    let stream = body.write()?;
    let mut rest = content;
    while !rest.is_empty() {
        match stream.check_write().map_err(|_| ())? {
            0 => stream.subscribe().block(),
            room => {
                let length = usize::try_from(room).unwrap_or(usize::MAX).min(rest.len());
                let (now, later) = rest.split_at(length);
                stream.write(now).map_err(|_| ())?;
                rest = later;
            }
        }
    }
    stream.flush().map_err(|_| ())
}

/// Waits for the answer and reads it.
fn finish(
    request: &Request,
    pending: std::result::Result<FutureIncomingResponse, SendError>,
) -> std::result::Result<Response, SendError> {
    let pending = pending?;
    let answer = loop {
        match pending.get() {
            Some(Ok(answer)) => break answer.map_err(|error| explain(request, &error))?,
            Some(Err(())) => return Err(SendError::Unreachable("the answer was taken twice".into())),
            None => pending.subscribe().block(),
        }
    };
    let headers = answer
        .headers()
        .entries()
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), String::from_utf8_lossy(&value).into_owned()))
        .collect();
    let status = answer.status();
    let body = read(request, &answer)?;
    Ok(Response { status, headers, body })
}

fn read(request: &Request, answer: &IncomingResponse) -> std::result::Result<Vec<u8>, SendError> {
    let broken = || SendError::Unreachable(format!("{}: the answer cannot be read", host_of(request)));
    let body: IncomingBody = answer.consume().map_err(|()| broken())?;
    let stream = body.stream().map_err(|()| broken())?;
    let mut content = Vec::new();
    loop {
        match stream.blocking_read(limits::READ_BYTES) {
            Ok(piece) if content.len() + piece.len() > request.max_response => {
                return Err(SendError::TooLarge(request.max_response));
            }
            Ok(piece) => content.extend_from_slice(&piece),
            Err(StreamError::Closed) => return Ok(content),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(http_error_code(&error).map_or_else(broken, |code| explain(request, &code)));
            }
        }
    }
}

/// What a failure means. The host answers a request whose credential cannot be had with an
/// error that has no room for why, so ask for the reason.
fn explain(request: &Request, error: &WireError) -> SendError {
    let host = host_of(request);
    let opaque = matches!(error, WireError::HttpRequestDenied | WireError::InternalError(_));
    if let (true, Some(credential)) = (opaque, &request.credential) {
        let name = credential.split(';').next().unwrap_or_default().trim();
        if let Err(error) = credentials::describe(name) {
            return SendError::Credential(error);
        }
    }
    match error {
        WireError::HttpRequestDenied | WireError::DestinationIpProhibited => {
            SendError::Denied(host.to_owned())
        }
        WireError::DnsTimeout | WireError::ConnectionTimeout => {
            SendError::Unreachable(format!("{host}: no connection in time"))
        }
        WireError::ConnectionReadTimeout
        | WireError::ConnectionWriteTimeout
        | WireError::HttpResponseTimeout => SendError::TimedOut(format!("{host}: no answer in time")),
        WireError::DestinationNotFound | WireError::DnsError(_) => {
            SendError::Unreachable(format!("{host}: the name cannot be resolved"))
        }
        WireError::ConnectionRefused => SendError::Unreachable(format!("{host}: the connection was refused")),
        WireError::InternalError(Some(why)) => SendError::Unreachable(format!("{host}: {why}")),
        other => SendError::Unreachable(format!("{host}: {other:?}")),
    }
}

fn host_of(request: &Request) -> &str {
    url::parse(&request.url).map_or(request.url.as_str(), |parts| parts.authority)
}

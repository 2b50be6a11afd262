//! `/images`

use axum::{
    Router,
    body::Body,
    extract::State,
    routing::{get, post},
};
use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use sockerless_engine::PullImage;
use sockerless_ports::registry::{Archive, ImportRequest, Login};

use super::{
    progress::{self, Dialect},
    unsupported,
};
use crate::{
    App,
    errors::ApiError,
    extract::{Id, Params},
    respond,
    respond::Answer,
    upload,
    version::ApiVersion,
};

pub fn routes() -> Router<App> {
    Router::new()
        .route("/images/json", get(list))
        .route("/images/create", post(create))
        .route("/images/load", post(load))
        .route("/images/prune", post(prune))
        .route("/images/get", get(save))
        // An image's name has slashes in it: what comes after the name is told apart by hand.
        .route("/images/{*rest}", axum::routing::any(named))
}

async fn list(State(daemon): State<App>, params: Params) -> Answer {
    let mut filters = params.filters()?;
    // A parameter of its own before filters had it.
    if let Some(reference) = params.string("filter") {
        filters.entry("reference".to_owned()).or_default().push(reference);
    }
    respond::ok(&daemon.images(params.flag("all"), &filters).await?)
}

async fn named(State(daemon): State<App>, method: Method, Id(rest): Id, params: Params) -> Answer {
    if method == Method::DELETE {
        if rest.trim().is_empty() {
            return Err(ApiError::invalid("image name cannot be blank"));
        }
        let removed = daemon.remove_image(&rest, params.flag("force"), !params.flag("noprune")).await?;
        return respond::ok(&removed);
    }
    let (name, what) = rest.rsplit_once('/').ok_or_else(ApiError::page_not_found)?;
    match (method.as_str(), what) {
        ("GET", "json") => respond::ok(&daemon.inspect_image(name).await?),
        ("GET", "history") => respond::ok(&daemon.image_history(name).await?),
        ("POST", "tag") => {
            daemon
                .tag_image(
                    name,
                    params.get("repo").unwrap_or_default(),
                    params.get("tag").unwrap_or_default(),
                )
                .await?;
            Ok(respond::empty(StatusCode::CREATED))
        }
        ("GET", "get") => saved(&daemon, vec![name.to_owned()]).await,
        ("POST", "push") => Err(ApiError::unsupported(unsupported::IMAGE_PUSH)),
        _ => Err(ApiError::page_not_found()),
    }
}

async fn create(
    State(daemon): State<App>,
    version: ApiVersion,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let platform = params.string("platform").filter(|_| version >= ApiVersion::new(1, 32));
    let progress = if let Some(image) = params.text("fromImage") {
        let reference = reference(image, params.text("tag"));
        daemon.pull_image(PullImage { reference, platform, login: login(&headers) }).await?
    } else {
        match params.text("fromSrc") {
            Some("-") => {}
            Some(_) => return Err(ApiError::unsupported(unsupported::IMPORT_FROM_URL)),
            None => return Err(ApiError::invalid("fromImage or fromSrc has to be given")),
        }
        let request = ImportRequest {
            name: params.text("repo").map(|repository| reference(repository, params.text("tag"))),
            message: params.string("message").unwrap_or_default(),
            changes: params.all("changes"),
            platform,
        };
        daemon.import_image(archive(body), request).await?
    };
    Ok(respond::json_stream(progress::lines(progress, Dialect::Status)))
}

/// `docker save`
async fn save(State(daemon): State<App>, params: Params) -> Answer {
    saved(&daemon, params.all("names")).await
}

async fn saved(daemon: &App, names: Vec<String>) -> Answer {
    let archive = daemon.save_images(names).await?;
    Ok(respond::archive(HeaderValue::from_static("application/x-tar"), archive))
}

async fn load(State(daemon): State<App>, params: Params, body: Body) -> Answer {
    let progress = daemon.load_images(archive(body)).await?;
    let quiet = params.flag_or("quiet", true);
    Ok(respond::json_stream(progress::lines(progress, Dialect::Load { quiet })))
}

async fn prune(State(daemon): State<App>, params: Params) -> Answer {
    respond::ok(&daemon.prune_images(&params.filters()?).await?)
}

fn archive(body: Body) -> Archive {
    upload::archive(body).0
}

/// Joins a tag or digest to a name, in place of the one it has.
fn reference(image: &str, tag: Option<&str>) -> String {
    let Some(tag) = tag else { return image.to_owned() };
    let name = image.split('@').next().unwrap_or(image);
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    let name = name[last..].find(':').map_or(name, |colon| &name[..last + colon]);
    // A digest has a colon (`sha256:…`), a tag has none.
    let separator = if tag.contains(':') { '@' } else { ':' };
    format!("{name}{separator}{tag}")
}

/// The login of the header `X-Registry-Auth`: JSON in URL-safe base64. As for dockerd, one that
/// cannot be read is none.
fn login(headers: &HeaderMap) -> Option<Login> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &URL_SAFE,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let text = headers.get("x-registry-auth")?.to_str().ok()?;
    // Some clients use the other alphabet.
    let json = LENIENT.decode(text.replace('+', "-").replace('/', "_")).ok()?;
    let login: Login = serde_json::from_slice(&json).ok()?;
    let anonymous = login.username.is_empty() && login.password.is_empty() && login.identitytoken.is_empty();
    (!anonymous).then_some(login)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_or_digest_takes_the_place_of_the_one_in_the_name() {
        for (image, tag, expected) in [
            ("busybox", None, "busybox"),
            ("busybox", Some("1.36"), "busybox:1.36"),
            ("busybox:1.35", Some("1.36"), "busybox:1.36"),
            ("localhost:5000/a/b", Some("c"), "localhost:5000/a/b:c"),
            ("localhost:5000/a/b:x", Some("c"), "localhost:5000/a/b:c"),
            ("a/b", Some("sha256:00"), "a/b@sha256:00"),
            ("a/b:x@sha256:11", Some("sha256:00"), "a/b@sha256:00"),
            ("a/b@sha256:11", None, "a/b@sha256:11"),
        ] {
            assert_eq!(reference(image, tag), expected);
        }
    }

    #[test]
    fn a_login_is_read_in_every_flavour_of_base64() {
        let json = br#"{"username":"u","password":"p?>~~","serveraddress":"r:5000"}"#;
        let padded = base64::engine::general_purpose::URL_SAFE.encode(json);
        for text in
            [padded.trim_end_matches('='), &padded, &base64::engine::general_purpose::STANDARD.encode(json)]
        {
            let headers = HeaderMap::from_iter([(
                "x-registry-auth".parse().unwrap(),
                HeaderValue::from_str(text).unwrap(),
            )]);
            let login = login(&headers).unwrap();
            assert_eq!((login.username.as_str(), login.password.as_str()), ("u", "p?>~~"));
        }
    }

    #[test]
    fn an_empty_or_broken_login_is_none() {
        for text in ["", "e30=", "!!!", "bnVsbA=="] {
            let headers =
                HeaderMap::from_iter([("x-registry-auth".parse().unwrap(), HeaderValue::from_static(text))]);
            assert_eq!(login(&headers), None, "{text}");
        }
    }
}

//! `/containers/{id}/archive`: files in and out of a container (`docker cp`).

use axum::{Router, body::Body, extract::State, response::Response, routing::get};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use sockerless_engine::PutArchive;
use sockerless_ports::link::request::PathStat;

use crate::{
    App,
    errors::ApiError,
    extract::{Id, Params},
    respond,
    respond::Answer,
    upload,
};

const STAT: HeaderName = HeaderName::from_static("x-docker-container-path-stat");

pub fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/archive", get(read).head(stat).put(write))
}

async fn stat(State(daemon): State<App>, Id(id): Id, params: Params) -> Answer {
    let stat = daemon.stat_path(&id, path(&params)?).await?;
    with_stat(respond::empty(StatusCode::OK), &stat)
}

async fn read(State(daemon): State<App>, Id(id): Id, params: Params) -> Answer {
    let (stat, archive) = daemon.read_path(&id, path(&params)?).await?;
    with_stat(respond::archive(HeaderValue::from_static("application/x-tar"), archive), &stat)
}

async fn write(State(daemon): State<App>, Id(id): Id, params: Params, body: Body) -> Answer {
    let request = PutArchive {
        path: path(&params)?.to_owned(),
        keep_kind: params.flag("noOverwriteDirNonDir"),
        copy_owner: params.flag("copyUIDGID"),
    };
    let (archive, rest) = upload::archive(body);
    if let Err(error) = daemon.write_path(&id, request, archive).await {
        rest.drain().await;
        return Err(error.into());
    }
    Ok(respond::empty(StatusCode::OK))
}

fn path(params: &Params) -> Result<&str, ApiError> {
    params.text("path").ok_or_else(|| ApiError::invalid("bad parameter: path cannot be empty"))
}

/// What clients learn of a path: JSON in base64, in a header.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stat<'a> {
    name: &'a str,
    size: u64,
    mode: u32,
    mtime: String,
    link_target: &'a str,
}

fn with_stat(mut response: Response, stat: &PathStat) -> Answer {
    let unwritable = |what: String| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, what);
    let time = Timestamp::from_nanosecond(stat.modified.into()).unwrap_or(Timestamp::UNIX_EPOCH);
    let json = serde_json::to_vec(&Stat {
        name: &stat.name,
        size: stat.size,
        mode: go_mode(stat.mode),
        mtime: time.to_string(),
        link_target: &stat.link,
    })
    .map_err(|error| unwritable(error.to_string()))?;
    let value =
        HeaderValue::from_str(&STANDARD.encode(json)).map_err(|error| unwritable(error.to_string()))?;
    response.headers_mut().insert(STAT, value);
    Ok(response)
}

/// `st_mode` as Go's `os.FileMode`: permissions in the same bits, the rest elsewhere.
fn go_mode(mode: u32) -> u32 {
    const DIRECTORY: u32 = 1 << 31;
    const SYMLINK: u32 = 1 << 27;
    const DEVICE: u32 = 1 << 26;
    const PIPE: u32 = 1 << 25;
    const SOCKET: u32 = 1 << 24;
    const SETUID: u32 = 1 << 23;
    const SETGID: u32 = 1 << 22;
    const CHARACTERS: u32 = 1 << 21;
    const STICKY: u32 = 1 << 20;
    let kind = match mode & 0o170_000 {
        0o040_000 => DIRECTORY,
        0o120_000 => SYMLINK,
        0o060_000 => DEVICE,
        0o020_000 => DEVICE | CHARACTERS,
        0o010_000 => PIPE,
        0o140_000 => SOCKET,
        _ => 0,
    };
    let flag = |bit, go| if mode & bit == 0 { 0 } else { go };
    kind | mode & 0o777 | flag(0o4000, SETUID) | flag(0o2000, SETGID) | flag(0o1000, STICKY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_gos() {
        // What dockerd 20.10 answered for these.
        for (mode, go) in [
            (0o040_755, 2_147_484_141),
            (0o100_644, 420),
            (0o120_777, 134_218_239),
            (0o010_644, 33_554_852),
            (0o041_777, 2_148_532_735),
        ] {
            assert_eq!(go_mode(mode), go, "{mode:o}");
        }
        assert_eq!(go_mode(0o104_755), 1 << 23 | 0o755);
        assert_eq!(go_mode(0o020_600), 1 << 26 | 1 << 21 | 0o600);
    }
}

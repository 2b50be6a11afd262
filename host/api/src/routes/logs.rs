//! `GET /containers/{id}/logs`

use std::time::{SystemTime, UNIX_EPOCH};

use axum::{Router, extract::State, routing::get};
use sockerless_engine::LogsRequest;

use crate::{
    App,
    errors::ApiError,
    extract::{Id, Params},
    framing::{Encoded, Form, content_type},
    respond,
    respond::Answer,
    time,
    version::ApiVersion,
};

pub fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/logs", get(logs))
}

async fn logs(State(daemon): State<App>, Id(id): Id, version: ApiVersion, params: Params) -> Answer {
    let output = daemon.logs(&id, request(&params, SystemTime::now())?).await?;
    let form = Form::of(&output);
    Ok(respond::stream(content_type(output.tty, version), Encoded::new(output, form)))
}

fn request(params: &Params, now: SystemTime) -> Result<LogsRequest, ApiError> {
    let (stdout, stderr) = (params.flag("stdout"), params.flag("stderr"));
    if !stdout && !stderr {
        return Err(ApiError::invalid("Bad parameters: you must choose at least one stream"));
    }
    // Zero stands for "no limit" in both, which clients rely on.
    let point = |name| -> Result<_, ApiError> {
        let time = params.text(name).map(|text| time::parse(text, now)).transpose()?;
        Ok(time.filter(|time| *time != UNIX_EPOCH))
    };
    Ok(LogsRequest {
        stdout,
        stderr,
        follow: params.flag("follow"),
        timestamps: params.flag("timestamps"),
        details: params.flag("details"),
        since: point("since")?,
        until: point("until")?,
        // "all", -1 and what is no number mean everything.
        tail: params.text("tail").and_then(|text| text.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(query: &str) -> Result<LogsRequest, ApiError> {
        request(&Params::parse(query).unwrap(), SystemTime::now())
    }

    #[test]
    fn at_least_one_stream_has_to_be_chosen() {
        let error = read("follow=1").unwrap_err();
        assert_eq!(error, ApiError::invalid("Bad parameters: you must choose at least one stream"));
        assert!(read("stderr=1").is_ok());
    }

    #[test]
    fn tail_is_a_number_or_everything() {
        for (text, expected) in
            [("5", Some(5)), ("0", Some(0)), ("all", None), ("-1", None), ("many", None), ("", None)]
        {
            assert_eq!(read(&format!("stdout=1&tail={text}")).unwrap().tail, expected, "{text:?}");
        }
        assert_eq!(read("stdout=1").unwrap().tail, None);
    }

    #[test]
    fn zero_is_no_limit_of_time() {
        let request = read("stdout=true&since=0&until=0").unwrap();
        assert_eq!((request.since, request.until), (None, None));
        let request = read("stdout=true&since=1.5").unwrap();
        assert_eq!(request.since, Some(UNIX_EPOCH + Duration::from_millis(1500)));
        assert!(read("stdout=true&since=soon").is_err());
    }
}

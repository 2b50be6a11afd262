//! A hundred deletions in one request (`POST /batch/storage/v1`, `multipart/mixed`).

use std::fmt::Write as _;

use sockerless_plugin_sdk::{Request, Response, url};

const BOUNDARY: &str = "sockerless-batch";

/// The request that deletes objects of a bucket.
pub fn deletion(base: &str, bucket: &str, names: &[String]) -> Request {
    let mut body = String::new();
    for (index, name) in names.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(
            body,
            "--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-ID: <{index}>\r\n\r\n\
             DELETE /storage/v1/b/{}/o/{} HTTP/1.1\r\n\r\n\r\n",
            url::encode(bucket),
            url::encode(name)
        );
    }
    body.push_str(&format!("--{BOUNDARY}--\r\n"));
    Request::post(format!("{base}/batch/storage/v1"))
        .body(&format!("multipart/mixed; boundary={BOUNDARY}"), body.into_bytes())
}

/// The answers of a batch, in order; none when it is no answer to a batch.
pub fn answers(response: &Response) -> Option<Vec<Response>> {
    let kind = response.header("content-type")?;
    let (_, boundary) = kind.split_once("boundary=")?;
    let boundary = format!("--{}", boundary.split(';').next()?.trim().trim_matches('"'));
    let text = String::from_utf8_lossy(&response.body).replace("\r\n", "\n");
    let mut answers = Vec::new();
    for part in text.split(boundary.as_str()).skip(1) {
        if part.starts_with("--") {
            return Some(answers);
        }
        let (_, http) = part.split_once("\n\n")?;
        let (head, body) = http.split_once("\n\n").unwrap_or((http, ""));
        let status = head.split_ascii_whitespace().nth(1)?.parse().ok()?;
        let headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        answers.push(Response { status, headers, body: body.trim().as_bytes().to_vec() });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_of_a_batch_has_an_answer() {
        let request = deletion("https://x.test", "b", &["a b".into(), "c".into()]);
        let body = String::from_utf8(request.body.unwrap()).unwrap();
        assert!(body.contains("DELETE /storage/v1/b/b/o/a%20b HTTP/1.1\r\n"));
        let body = "--q\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n\r\n\
                    --q\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 403 Forbidden\r\nRetry-After: 2\r\n\r\n{\"error\": 1}\r\n\
                    --q--\r\n";
        let headers = vec![("content-type".to_owned(), "multipart/mixed; boundary=q".to_owned())];
        let whole = Response { status: 200, headers, body: body.as_bytes().to_vec() };
        let answers = answers(&whole).unwrap();
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [204, 403]);
        assert_eq!(
            (answers[1].header("retry-after"), answers[1].body.as_slice()),
            (Some("2"), &b"{\"error\": 1}"[..])
        );
        let cut = Response { body: whole.body[..40].to_vec(), ..whole };
        assert!(super::answers(&cut).is_none());
    }
}

//! HTTP to a simulator, without a client library.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::Value;

/// Sends one request to a server on loopback; `base` is `http://HOST:PORT`. Gives the status and the body's JSON, null when
/// it is none.
#[track_caller]
pub fn request(base: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
    let address = base.strip_prefix("http://").expect("a plain URL");
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server answers in UTF-8");
    let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    (status.unwrap_or_else(|| panic!("no HTTP: {answer}")), serde_json::from_str(body).unwrap_or_default())
}

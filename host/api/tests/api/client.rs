//! A client that shows every byte of HTTP.

use std::{collections::HashMap, path::Path};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
};

pub struct Client {
    pub stream: BufReader<UnixStream>,
}

/// Status line and headers, names in lower case.
#[derive(Debug)]
pub struct Head {
    pub line: String,
    pub headers: HashMap<String, String>,
}

impl Head {
    pub fn status(&self) -> u16 {
        self.line.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

#[derive(Debug)]
pub struct Response {
    pub head: Head,
    pub body: Vec<u8>,
}

impl Response {
    pub fn status(&self) -> u16 {
        self.head.status()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).map(String::as_str)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap().to_owned()
    }
}

impl Client {
    pub async fn connect(path: &Path) -> Self {
        Self { stream: BufReader::new(UnixStream::connect(path).await.unwrap()) }
    }

    /// Sends a request without waiting for anything.
    pub async fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: Option<&[u8]>) {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: docker\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        if method != "GET" && method != "HEAD" {
            text += &format!("Content-Length: {}\r\n", body.map_or(0, <[u8]>::len));
        }
        text += "\r\n";
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(body.unwrap_or_default());
        self.write(&bytes).await;
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.unwrap();
    }

    /// Closes the client's side alone.
    pub async fn half_close(&mut self) {
        self.stream.get_mut().shutdown().await.unwrap();
    }

    pub async fn read_head(&mut self) -> Head {
        let line = self.read_line().await;
        let mut headers = HashMap::new();
        loop {
            let line = self.read_line().await;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        Head { line, headers }
    }

    async fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        assert!(line.ends_with("\r\n"), "broken line {line:?}");
        line.trim_end().to_owned()
    }

    /// One chunk of a chunked body; none at its end.
    pub async fn read_chunk(&mut self) -> Option<Vec<u8>> {
        let length = usize::from_str_radix(&self.read_line().await, 16).unwrap();
        let mut bytes = self.read_exact(length + 2).await;
        assert_eq!(bytes.split_off(length), b"\r\n");
        (length > 0).then_some(bytes)
    }

    pub async fn read_exact(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    pub async fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    pub async fn read_body(&mut self, head: &Head) -> Vec<u8> {
        if let Some(length) = head.headers.get("content-length") {
            return self.read_exact(length.parse().unwrap()).await;
        }
        let mut body = Vec::new();
        if head.headers.contains_key("transfer-encoding") {
            while let Some(chunk) = self.read_chunk().await {
                body.extend(chunk);
            }
        }
        body
    }

    pub async fn read_response(&mut self) -> Response {
        let head = self.read_head().await;
        let body = self.read_body(&head).await;
        Response { head, body }
    }

    pub async fn request(&mut self, method: &str, target: &str) -> Response {
        self.send(method, target, &[], None).await;
        self.read_response().await
    }

    pub async fn post_json(&mut self, target: &str, body: &[u8]) -> Response {
        self.send("POST", target, &[("Content-Type", "application/json")], Some(body)).await;
        self.read_response().await
    }

    /// As the docker CLI asks for a connection.
    pub async fn attach(&mut self, target: &str) -> Head {
        self.send(
            "POST",
            target,
            &[("Connection", "Upgrade"), ("Upgrade", "tcp"), ("Content-Type", "text/plain")],
            None,
        )
        .await;
        self.read_head().await
    }
}

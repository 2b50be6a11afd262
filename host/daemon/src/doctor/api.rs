//! The API of a daemon that runs, as far as a trial needs it.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use crate::{Result, config::Config};

/// How long a daemon may take to say that it is there.
const GREETING: Duration = Duration::from_secs(5);

/// A daemon's socket.
pub struct Api {
    socket: std::path::PathBuf,
}

impl Api {
    /// The daemon of this configuration, if it runs.
    pub async fn find(config: &Config) -> Option<Self> {
        let api = Self { socket: config.socket.clone() };
        let answer = tokio::time::timeout(GREETING, api.call("GET", "/_ping", "")).await;
        matches!(answer, Ok(Ok((200, _)))).then_some(api)
    }

    /// The smallest image that the daemon has.
    pub async fn smallest_image(&self) -> Result<Option<String>> {
        let (_, body) = self.call("GET", "/images/json", "").await?;
        let images: Vec<Value> = serde_json::from_str(&body)?;
        let smallest = images.iter().min_by_key(|image| image["Size"].as_i64().unwrap_or(i64::MAX));
        Ok(smallest.and_then(|image| image["Id"].as_str()).map(str::to_owned))
    }

    /// Creates, starts and removes a container. Errors: the daemon's words.
    pub async fn try_out(&self, image: &str, command: &str) -> Result {
        let config = serde_json::json!({"Image": image, "Entrypoint": [command], "Cmd": []}).to_string();
        let created: Value = serde_json::from_str(&self.done("POST", "/containers/create", &config).await?)?;
        let id = created["Id"].as_str().ok_or("the daemon gave no id for the container")?;
        let started = self.done("POST", &format!("/containers/{id}/start"), "").await;
        self.done("DELETE", &format!("/containers/{id}?force=1"), "").await?;
        started.map(drop)
    }

    /// Merges a container's bind mounts. Errors: the daemon's words.
    pub async fn sync(&self, container: &str) -> Result {
        self.done("POST", &format!("/containers/{container}/sync"), "").await.map(drop)
    }

    async fn done(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let (status, answer) = self.call(method, path, body).await?;
        if status < 400 {
            return Ok(answer);
        }
        let message = serde_json::from_str::<Value>(&answer).ok();
        let message = message.and_then(|answer| answer["message"].as_str().map(str::to_owned));
        Err(message.unwrap_or(answer).into())
    }

    /// One request of HTTP/1.0, so that the answer ends with the connection.
    async fn call(&self, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("the daemon's answer is no HTTP")?;
        let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
        Ok((status.ok_or("the daemon's answer has no status")?, body.to_owned()))
    }
}

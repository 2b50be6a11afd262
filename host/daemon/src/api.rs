//! The API of a daemon that runs, as far as subcommands need it.

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use sockerless_api::{PluginStanding, Reloaded};

use crate::{Result, config::Config, tuning::GREETING};

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

    /// The same. Errors: none runs.
    pub async fn required(config: &Config) -> Result<Self> {
        let found = Self::find(config).await;
        found.ok_or_else(|| format!("no daemon answers at {}", config.socket.display()).into())
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

    /// The backends that it has loaded.
    pub async fn plugins(&self) -> Result<Vec<PluginStanding>> {
        Ok(serde_json::from_str(&self.done("GET", "/sockerless/plugins", "").await?)?)
    }

    /// Has it take the components that have changed, all or that of one backend. Errors: the daemon's words.
    pub async fn reload(&self, name: Option<&str>) -> Result<Vec<Reloaded>> {
        let path = match name {
            // Only what a backend can be called: anything else would have to be escaped.
            Some(name) if !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) => {
                return Err(format!("there is no backend {name:?}").into());
            }
            Some(name) => format!("/sockerless/plugins/reload?name={name}"),
            None => "/sockerless/plugins/reload".to_owned(),
        };
        Ok(serde_json::from_str(&self.done("POST", &path, "").await?)?)
    }

    /// Merges a container's bind mounts and synced volumes. Errors: the daemon's words.
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

//! What is Azure's own: services, faults of Resource Manager, the logins of Entra, and what Azure's clients see of it all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod agent;
mod credentials;
mod faults;
mod seen;
mod services;

use serde_json::Value;
use sockerless_tests::{Daemon, backend::ACA, http};

/// A simulator, as its ready file has it.
struct Azure {
    info: Value,
}

impl Azure {
    /// The one behind a daemon.
    fn of(daemon: &Daemon) -> Self {
        let file = std::fs::read(daemon.state().join("simulator-aca/ready.json")).unwrap();
        Self { info: serde_json::from_slice(&file).unwrap() }
    }

    fn text(&self, field: &str) -> &str {
        self.info[field].as_str().unwrap()
    }

    /// The path of the resource group's Container Apps.
    fn path(&self, rest: &str) -> String {
        let (subscription, group) = (self.text("subscription"), self.text("resource_group"));
        format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.App/{rest}")
    }

    /// A call of Resource Manager below them: status and body.
    fn call(&self, method: &str, rest: &str) -> (u16, Value) {
        let path = format!("{}?api-version=2026-07-01", self.path(rest));
        let login = format!("Bearer {}", self.text("token"));
        http::request(self.text("http"), method, &path, &[("Authorization", &login)], "")
    }

    /// Renews the first key of the storage account, which is the one that everybody is given.
    fn renew_key(&self) {
        let path = format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}/regenerateKey?api-version=2026-09-01",
            self.text("subscription"),
            self.text("resource_group"),
            self.text("storage_account")
        );
        let login = format!("Bearer {}", self.text("token"));
        let headers = [("Authorization", login.as_str()), ("Content-Type", "application/json")];
        let (status, answer) =
            http::request(self.text("http"), "POST", &path, &headers, r#"{"keyName": "key1"}"#);
        assert_eq!(status, 200, "{answer}");
    }

    /// The resources of a kind.
    fn list(&self, kind: &str) -> Vec<Value> {
        let (status, found) = self.call("GET", kind);
        assert_eq!(status, 200, "{found}");
        found["value"].as_array().unwrap().clone()
    }

    /// Has something go wrong.
    fn want(&self, fault: &Value) {
        let (status, answer) =
            http::request(self.text("http"), "POST", "/simulator/v1/faults", &[], &fault.to_string());
        assert_eq!(status, 204, "{answer}");
    }
}

/// A daemon on Azure's simulator, with busybox.
fn daemon() -> Daemon {
    let daemon = Daemon::of(&ACA, &[], &[]);
    daemon.load_busybox();
    daemon
}

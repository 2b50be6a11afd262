//! What stands in the simulated cloud, by its own API: the same questions to each.

mod azure;
mod google;

use std::fs;

use serde_json::{Value, json};

use crate::{Daemon, backend, http};

/// A cloud, as its console would show it.
pub trait Cloud {
    /// The names of all jobs, sorted.
    fn jobs(&self) -> Vec<String>;

    /// How many containers each job has, fewest first.
    fn job_sizes(&self) -> Vec<usize>;

    /// Ends what runs of all jobs.
    fn cancel_jobs(&self);

    /// Whether the containers' log has this line.
    fn has_logged(&self, line: &str) -> bool;

    /// The names of the networks' zones.
    fn zones(&self) -> Vec<String>;

    /// Address records of a zone, as `web 10 172.18.0.2`, sorted.
    fn records(&self, zone: &str) -> Vec<String>;

    /// What the path of every call begins with that makes, reads or deletes zones.
    fn zones_path(&self) -> String;

    /// The method by which a zone is made.
    fn makes_zones_by(&self) -> &'static str;

    /// The configuration of a daemon to which the simulator is a cloud like any other, signing with this token.
    fn configuration(&self, token: &str) -> String;

    /// A token that a login gives: as good as the simulator's `--token-life` has it.
    fn issued_token(&self) -> String;

    /// The cloud's words for a token that is not good any more.
    fn expired(&self) -> &'static str;

    /// Who tells how the simulator is reached.
    fn ready(&self) -> &Ready;

    /// A fault as its simulator takes it.
    fn fault(&self, fault: &Fault<'_>) -> Value {
        let Fault { method, path, code, message, times, lost } = fault;
        json!({"method": method, "path": path, "code": code, "message": message, "times": times, "lost": lost})
    }

    /// Has the next calls fail, so many times, in these words.
    fn fail(&self, fault: &Fault<'_>) {
        let fault = self.fault(fault);
        let (status, answer) =
            http::request(self.ready().base(), "POST", "/simulator/v1/faults", &[], &fault.to_string());
        assert_eq!(status, 204, "{answer}");
    }

    /// No call fails any more.
    fn heal(&self) {
        let (status, answer) = http::request(self.ready().base(), "DELETE", "/simulator/v1/faults", &[], "");
        assert_eq!(status, 204, "{answer}");
    }
}

/// Calls that are to fail.
#[derive(Debug)]
pub struct Fault<'a> {
    /// `PUT`, `DELETE`.
    pub method: &'a str,
    /// What their path begins with.
    pub path: &'a str,
    /// `PERMISSION_DENIED` or `INTERNAL`.
    pub code: &'a str,
    /// The cloud's words.
    pub message: &'a str,
    /// How many calls.
    pub times: u32,
    /// They happen, and their answer is lost.
    pub lost: bool,
}

/// What a simulator says about itself.
#[derive(Debug, Clone)]
pub struct Ready(Value);

impl Ready {
    /// A text of it.
    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }

    /// Where all APIs are, without TLS.
    #[track_caller]
    pub fn base(&self) -> &str {
        self.0["google"].as_str().unwrap_or_else(|| self.text("http"))
    }

    /// A call with the token that is always good; gives the body of a success.
    #[track_caller]
    pub fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let token = format!("Bearer {}", self.text("token"));
        let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = http::request(self.base(), method, path, &headers, &body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// A call of a login, with a form; gives the token.
    #[track_caller]
    fn login(&self, path: &str, form: &str) -> String {
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let (status, answer) = http::request(self.base(), "POST", path, &headers, form);
        assert_eq!(status, 200, "{answer}");
        text(&answer, "access_token")
    }

    /// The items of a listing.
    #[track_caller]
    fn list(&self, path: &str, field: &str) -> Vec<Value> {
        self.call("GET", path, &Value::Null)[field].as_array().cloned().unwrap_or_default()
    }
}

/// The text of a field.
#[track_caller]
fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
}

impl Daemon {
    /// How its simulator is reached.
    #[track_caller]
    pub fn ready(&self) -> Ready {
        let path = self.state().join(self.backend().simulator).join("ready.json");
        let file = fs::read(path).expect("the simulator is ready");
        Ready(serde_json::from_slice(&file).expect("it writes JSON"))
    }

    /// The cloud of its default backend.
    #[track_caller]
    pub fn cloud(&self) -> Box<dyn Cloud> {
        let ready = self.ready();
        if *self.backend() == backend::ACA {
            Box::new(azure::Azure::new(ready))
        } else {
            Box::new(google::Google::new(ready))
        }
    }

    /// The names of all jobs in the cloud, sorted.
    #[track_caller]
    pub fn jobs(&self) -> Vec<String> {
        self.cloud().jobs()
    }

    /// Has the cloud end what runs of all jobs, as its console would.
    #[track_caller]
    pub fn cancel_jobs(&self) {
        self.cloud().cancel_jobs();
    }
}

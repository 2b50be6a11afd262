//! Cloud DNS, API v1, and a name server that answers from its zones.

mod answer;
mod changes;
mod error;
mod records;
mod rrset;
mod server;
pub mod store;
mod wire;
mod zones;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::db::Database;
use crate::error::ApiError;
use crate::profile::{Profile, Step};
use crate::quota::PerMinute;
use crate::schema::{self, Query};
use crate::server::Simulator;
use crate::{auth, limits};
use answer::Served;
pub(crate) use error::DnsError;
use error::Result;
pub use server::NameServer;

/// What Cloud DNS keeps beside the database: which changes are under way, and what the name server knows.
#[derive(Clone)]
pub struct Dns {
    calls: Arc<PerMinute>,
    /// Zone and number of the changes that the name server does not know yet.
    pending: Arc<Mutex<HashSet<(i64, i64)>>>,
    served: Arc<RwLock<Vec<Arc<Served>>>>,
}

impl Dns {
    /// Everything that the database has is known to the name server: what was pending when the last process ended is done.
    pub fn open(db: &Database, calls_per_minute: u32) -> rusqlite::Result<Self> {
        let calls = Arc::new(PerMinute::new(calls_per_minute));
        let dns = Self { calls, pending: Arc::default(), served: Arc::default() };
        let zones = store::zones(&db.lock(), None, "")?;
        for zone in zones {
            dns.publish(db, zone.id)?;
        }
        Ok(dns)
    }

    /// Tells the name server what a zone holds now.
    fn publish(&self, db: &Database, zone: i64) -> rusqlite::Result<()> {
        let mut served = self.served.write().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock: of two changes the later one is published last.
        let db = db.lock();
        let found = store::zones(&db, None, "")?.into_iter().find(|found| found.id == zone);
        served.retain(|known| known.id() != zone);
        if let Some(found) = found {
            let sets = store::rrsets(&db, zone)?;
            served.extend(Served::of(&found, &sets).map(Arc::new));
        }
        Ok(())
    }

    /// Lets a change take its time, and the name server know of it then.
    fn pending(&self, db: &Arc<Database>, zone: i64, change: i64, profile: Profile) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).insert((zone, change));
        let (dns, db) = (self.clone(), db.clone());
        tokio::spawn(async move {
            tokio::time::sleep(profile.latency(Step::DnsChange)).await;
            if let Err(error) = dns.publish(&db, zone) {
                tracing::error!(%error, "the name server does not learn of a change");
            }
            dns.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&(zone, change));
        });
    }

    fn is_pending(&self, zone: i64, change: i64) -> bool {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).contains(&(zone, change))
    }

    /// What the name server answers from at this moment.
    fn served(&self) -> Vec<Arc<Served>> {
        self.served.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers a call.
pub(crate) async fn serve(simulator: Arc<Simulator>, request: Request<Body>) -> Response {
    route(&simulator, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn route(simulator: &Simulator, request: Request<Body>) -> Result<Response> {
    auth::check(simulator, request.headers())?;
    if let Err(after) = simulator.dns.calls.take(Instant::now()) {
        let consumer = format!("projects/{}", simulator.info.project);
        let limit = simulator.dns.calls.limit();
        return Err(ApiError::quota("dns.googleapis.com/default", limit, &consumer, after).into());
    }
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let names: Vec<String> = path
        .trim_start_matches("/dns/v1/")
        .split('/')
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (Some((id, root)), ["projects", project, rest @ ..]) =
        (method_of(&parts.method, &names), names.as_slice())
    else {
        let message = format!("No method of Cloud DNS that is simulated answers at {path}.");
        return Err(DnsError::new(StatusCode::NOT_FOUND, "notFound", message));
    };
    let api = schema::dns();
    let query = api.query(id, parts.uri.query())?;
    let bytes = axum::body::to_bytes(body, limits::JSON_BODY).await.map_err(|_| {
        DnsError::new(StatusCode::BAD_REQUEST, "invalid", "The request's body is too large or ended early.")
    })?;
    let body = api.request(id, root, &bytes)?;
    simulator.project(project, "dns.googleapis.com")?;
    match (id, rest) {
        ("dns.projects.get", _) => Ok(zones::project(simulator, project)),
        ("dns.managedZones.create", _) => zones::create(simulator, project, &body),
        ("dns.managedZones.list", _) => zones::list(simulator, project, &query),
        ("dns.managedZones.get", [_, name]) => zones::get(simulator, project, name),
        ("dns.managedZones.delete", [_, name]) => zones::delete(simulator, project, name),
        (id, [_, name, rest @ ..]) => {
            let zone = zones::find(simulator, project, name)?;
            match (id, rest) {
                ("dns.changes.create", _) => records::change(simulator, &zone, &body),
                ("dns.changes.list", _) => records::changes(simulator, &zone, &query),
                ("dns.changes.get", [_, change]) => records::get_change(simulator, &zone, change),
                ("dns.resourceRecordSets.create", _) => records::create(simulator, &zone, &body),
                ("dns.resourceRecordSets.get", [_, name, kind]) => records::get(simulator, &zone, name, kind),
                ("dns.resourceRecordSets.patch", [_, name, kind]) => {
                    records::patch(simulator, &zone, name, kind, &body)
                }
                ("dns.resourceRecordSets.delete", [_, name, kind]) => {
                    records::delete(simulator, &zone, name, kind)
                }
                _ => records::list(simulator, &zone, &query),
            }
        }
        _ => Err(DnsError::new(StatusCode::NOT_FOUND, "notFound", "Not Found")),
    }
}

/// The method's id in the discovery document, and what its body stands for in messages.
fn method_of(method: &Method, names: &[&str]) -> Option<(&'static str, &'static str)> {
    Some(match (method.as_str(), names) {
        ("GET", ["projects", _]) => ("dns.projects.get", ""),
        ("GET", ["projects", _, "managedZones"]) => ("dns.managedZones.list", ""),
        ("POST", ["projects", _, "managedZones"]) => ("dns.managedZones.create", "managed_zone"),
        ("GET", ["projects", _, "managedZones", _]) => ("dns.managedZones.get", ""),
        ("DELETE", ["projects", _, "managedZones", _]) => ("dns.managedZones.delete", ""),
        ("GET", ["projects", _, "managedZones", _, "changes"]) => ("dns.changes.list", ""),
        ("POST", ["projects", _, "managedZones", _, "changes"]) => ("dns.changes.create", "change"),
        ("GET", ["projects", _, "managedZones", _, "changes", _]) => ("dns.changes.get", ""),
        ("GET", ["projects", _, "managedZones", _, "rrsets"]) => ("dns.resourceRecordSets.list", ""),
        ("POST", ["projects", _, "managedZones", _, "rrsets"]) => ("dns.resourceRecordSets.create", "rrset"),
        ("GET", ["projects", _, "managedZones", _, "rrsets", _, _]) => ("dns.resourceRecordSets.get", ""),
        ("PATCH", ["projects", _, "managedZones", _, "rrsets", _, _]) => {
            ("dns.resourceRecordSets.patch", "rrset")
        }
        ("DELETE", ["projects", _, "managedZones", _, "rrsets", _, _]) => {
            ("dns.resourceRecordSets.delete", "")
        }
        _ => return None,
    })
}

/// Which part of a listing is wanted.
struct Pager {
    /// The key that the page begins behind.
    after: String,
    size: usize,
}

impl Pager {
    fn read(query: &Query) -> Result<Self> {
        let size = match query.number("maxResults") {
            None => limits::DNS_PAGE,
            Some(size) => usize::try_from(size)
                .ok()
                .filter(|size| *size > 0)
                .ok_or_else(|| DnsError::invalid("parameters.maxResults", &size.to_string()))?
                .min(limits::DNS_PAGE),
        };
        let token = query.text("pageToken").unwrap_or_default();
        let after = hex::decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let after = after.ok_or_else(|| DnsError::invalid("parameters.pageToken", token))?;
        Ok(Self { after, size })
    }
}

/// A page of what comes behind the pager's key: pairs of key and resource.
fn page(kind: &str, field: &str, mut items: Vec<(String, Value)>, pager: &Pager) -> Value {
    let more = items.len() > pager.size;
    items.truncate(pager.size);
    let mut page = json!({"kind": kind});
    if let (true, Some((key, _))) = (more, items.last()) {
        page["nextPageToken"] = json!(hex::encode(key));
    }
    page[field] = items.into_iter().map(|(_, item)| item).collect();
    page
}

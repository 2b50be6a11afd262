//! `storageAccounts/A/fileServices/default/shares`

use http::StatusCode;
use serde_json::{Value, json};

use super::{accounts, names, place};
use crate::arm::{Answer, Call, page_of, store};
use crate::error::{ArmError, Result};
use crate::server::Simulator;
use crate::{ids, limits, time};

/// The collection.
pub const KIND: &str = "microsoft.storage/storageaccounts/fileservices/shares";
const SERVICE: &str = "microsoft.storage/storageaccounts/fileservices";
const TYPE: &str = "Microsoft.Storage/storageAccounts/fileServices/shares";

fn service_id(account: &Value) -> String {
    format!("{}/fileServices/default", account["id"].as_str().unwrap_or_default())
}

/// The document of a share by the names of the data plane.
///
/// # Errors
/// The database's.
pub fn find(simulator: &Simulator, account: &str, share: &str) -> Result<Option<Value>> {
    let Some(account) = accounts::by_name(simulator, account)? else { return Ok(None) };
    store::get(&simulator.db, &format!("{}/shares/{share}", service_id(&account)))
}

/// All shares of an account.
///
/// # Errors
/// The database's.
pub fn all(simulator: &Simulator, account: &str) -> Result<Vec<Value>> {
    let Some(account) = accounts::by_name(simulator, account)? else { return Ok(Vec::new()) };
    store::children(&simulator.db, KIND, &service_id(&account))
}

fn missing() -> ArmError {
    ArmError::not_found("ShareNotFound", "The specified share does not exist.")
}

/// Refuses a `$expand` with another word than an operation has.
fn expand(call: &Call, known: &[&str]) -> Result<()> {
    let asked = call.query.get("$expand").map_or("", String::as_str);
    let other = asked.split(',').map(str::trim).find(|word| !word.is_empty() && !known.contains(word));
    other.map_or(Ok(()), |word| {
        let message = format!(
            "Value for one of the query parameters specified in the request URI is invalid: $expand={word}."
        );
        Err(ArmError::bad("InvalidQueryParameterValue", message))
    })
}

/// `shares/S` with GET
pub fn get(call: &Call) -> Result<Answer> {
    expand(call, &["stats"])?;
    let account = accounts::find(call)?;
    let id = format!("{}/shares/{}", service_id(&account), call.name(1));
    let mut doc = store::get(&call.simulator.db, &id)?.ok_or_else(missing)?;
    if call.query.get("$expand").is_some_and(|expand| !expand.is_empty()) {
        let used = place::usage(&call.simulator.files.share(call.name(0), call.name(1)))?;
        doc["properties"]["shareUsageBytes"] = json!(used);
    }
    Ok(Answer::ok(doc))
}

/// `shares` with GET. The filter is the beginning of a name; metadata is told of a single share alone, and of deleted ones and
/// snapshots there are none.
pub fn list(call: &Call) -> Result<Answer> {
    expand(call, &["deleted", "snapshots"])?;
    let account = accounts::find(call)?;
    let beginning = call.query.get("$filter").map_or("", String::as_str);
    page_of(call, KIND, &service_id(&account), |mut doc| {
        if let Some(properties) = doc["properties"].as_object_mut() {
            properties.remove("metadata");
        }
        doc["name"].as_str().is_some_and(|name| name.starts_with(beginning)).then_some(doc)
    })
}

/// `shares/S` with PUT
pub fn put(call: &Call) -> Result<Answer> {
    expand(call, &["snapshots"])?;
    let account = accounts::find(call)?;
    names::check_share(call.name(1))?;
    if call.body["properties"]["enabledProtocols"] == "NFS" {
        return Err(ArmError::bad("FeatureNotSupported", "NFS shares are not simulated."));
    }
    let (doc, new) = make(&call.simulator, &account, call.name(1), &call.body["properties"])?;
    Ok(Answer::new(if new { StatusCode::CREATED } else { StatusCode::OK }, doc))
}

/// Makes a share or sets what a body says of it; true when it is new.
///
/// # Errors
/// 400 for a quota that cannot be.
pub fn make(
    simulator: &Simulator,
    account: &Value,
    share: &str,
    properties: &Value,
) -> Result<(Value, bool)> {
    let name = account["name"].as_str().unwrap_or_default();
    let service = service_id(account);
    let id = format!("{service}/shares/{share}");
    let mut doc = store::get(&simulator.db, &id)?.unwrap_or_else(|| {
        json!({
            "id": id, "name": share, "type": TYPE, "etag": ids::etag(),
            "properties": {
                "shareQuota": limits::SHARE_QUOTA.0, "enabledProtocols": "SMB", "accessTier": "TransactionOptimized",
                "leaseStatus": "Unlocked", "leaseState": "Available",
            },
        })
    });
    for field in ["shareQuota", "metadata", "accessTier"] {
        if !properties[field].is_null() {
            doc["properties"][field] = properties[field].clone();
        }
    }
    let quota = doc["properties"]["shareQuota"].as_i64().unwrap_or_default();
    if !(1..=limits::SHARE_QUOTA.1).contains(&quota) {
        let message =
            format!("The value {quota} of shareQuota is not between 1 and {}.", limits::SHARE_QUOTA.1);
        return Err(ArmError::bad("InvalidParameterValue", message));
    }
    doc["etag"] = json!(ids::etag());
    doc["properties"]["lastModifiedTime"] = json!(time::text(time::now()));
    std::fs::create_dir_all(simulator.files.share(name, share))?;
    let new = store::put(&simulator.db, KIND, &service, &id, &doc, 0)?;
    Ok((doc, new))
}

/// `shares/S` with PATCH
pub fn patch(call: &Call) -> Result<Answer> {
    let account = accounts::find(call)?;
    find(&call.simulator, call.name(0), call.name(1))?.ok_or_else(missing)?;
    let (doc, _) = make(&call.simulator, &account, call.name(1), &call.body["properties"])?;
    Ok(Answer::ok(doc))
}

/// `shares/S` with DELETE
pub fn delete(call: &Call) -> Result<Answer> {
    let account = accounts::find(call)?;
    let removed = remove(&call.simulator, &account, call.name(1))?;
    Ok(Answer::empty(if removed { StatusCode::OK } else { StatusCode::NO_CONTENT }))
}

/// Removes a share with its files; false when there was none.
///
/// # Errors
/// The disk's.
pub fn remove(simulator: &Simulator, account: &Value, share: &str) -> Result<bool> {
    if !names::is_share(share)
        || !store::delete(&simulator.db, &format!("{}/shares/{share}", service_id(account)))?
    {
        return Ok(false);
    }
    let name = account["name"].as_str().unwrap_or_default();
    let folder = simulator.files.share(name, share);
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    simulator.db.lock().execute("DELETE FROM file_metadata WHERE share = ?1", [format!("{name}/{share}")])?;
    Ok(true)
}

fn properties(call: &Call) -> Result<Value> {
    let account = accounts::find(call)?;
    let id = service_id(&account);
    let none = || {
        json!({
            "id": id, "name": "default", "type": "Microsoft.Storage/storageAccounts/fileServices",
            "sku": account["sku"],
            "properties": {"cors": {"corsRules": []}, "shareDeleteRetentionPolicy": {"enabled": false}},
        })
    };
    Ok(store::get(&call.simulator.db, &id)?.unwrap_or_else(none))
}

/// `fileServices/default` with GET
pub fn service(call: &Call) -> Result<Answer> {
    Ok(Answer::ok(properties(call)?))
}

/// `fileServices` with GET
pub fn services(call: &Call) -> Result<Answer> {
    Ok(Answer::ok(json!({"value": [properties(call)?]})))
}

/// `fileServices/default` with PUT
pub fn set_service(call: &Call) -> Result<Answer> {
    let mut doc = properties(call)?;
    for (name, value) in call.body["properties"].as_object().into_iter().flatten() {
        doc["properties"][name] = value.clone();
    }
    if doc["properties"]["shareDeleteRetentionPolicy"]["enabled"] == true {
        return Err(ArmError::bad("FeatureNotSupported", "Deleted shares are not kept by this simulator."));
    }
    let (account, id) =
        (call.id(&["storageAccounts", call.name(0)]), doc["id"].as_str().unwrap_or_default().to_owned());
    store::put(&call.simulator.db, SERVICE, &account, &id, &doc, 0)?;
    Ok(Answer::ok(doc))
}

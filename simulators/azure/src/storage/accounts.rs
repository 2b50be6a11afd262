//! `storageAccounts`

use http::StatusCode;
use serde_json::{Value, json};

use super::names;
use crate::arm::operations::{self, Style};
use crate::arm::{Answer, Call, page, store, tags};
use crate::error::{ArmError, Result};
use crate::profile::Step;
use crate::server::Simulator;
use crate::time;

/// The collection.
pub const KIND: &str = "microsoft.storage/storageaccounts";

/// Without keys, and with the places where it is reached.
fn shown(base: &str, mut doc: Value) -> Value {
    if let Some(fields) = doc.as_object_mut() {
        fields.retain(|name, _| !name.starts_with('_'));
    }
    let name = doc["name"].as_str().unwrap_or_default();
    doc["properties"]["primaryEndpoints"] = json!({"file": format!("{base}/files/{name}/")});
    doc
}

/// An account by its name, which is the only one of that name in the world.
///
/// # Errors
/// The database's.
pub fn by_name(simulator: &Simulator, name: &str) -> Result<Option<Value>> {
    let all = store::all(&simulator.db, KIND)?;
    Ok(all.into_iter().find(|doc| doc["name"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(name))))
}

fn id(call: &Call) -> String {
    call.id(&["storageAccounts", call.name(0)])
}

/// The account of the path.
///
/// # Errors
/// 404.
pub fn find(call: &Call) -> Result<Value> {
    store::get(&call.simulator.db, &id(call))?.ok_or_else(|| call.missing("storageAccounts", call.name(0)))
}

/// `storageAccounts/A` with GET
pub fn get(call: &Call) -> Result<Answer> {
    Ok(Answer::ok(shown(&call.base, find(call)?)))
}

/// `storageAccounts` with GET
pub fn list(call: &Call) -> Result<Answer> {
    page(call, KIND, &call.scope(), |doc| shown(&call.base, doc))
}

fn document(simulator: &Simulator, id: &str, name: &str, body: &Value, keys: &Value) -> Value {
    let now = time::text(time::now());
    let sku = body["sku"]["name"].as_str().unwrap_or("Standard_LRS");
    let tier = if sku.starts_with("Premium") { "Premium" } else { "Standard" };
    let mut doc = json!({
        "id": id,
        "name": name,
        "type": "Microsoft.Storage/storageAccounts",
        "location": simulator.config.location,
        "kind": body["kind"].as_str().unwrap_or("StorageV2"),
        "sku": {"name": sku, "tier": tier},
        "tags": if body["tags"].is_object() { body["tags"].clone() } else { json!({}) },
        "systemData": tags::system_data(None),
        "_keys": keys,
    });
    // What the caller asked for is what the service reports, beside what it adds itself.
    let mut properties = if body["properties"].is_object() { body["properties"].clone() } else { json!({}) };
    properties["provisioningState"] = json!("Succeeded");
    properties["primaryLocation"] = json!(simulator.config.location);
    properties["statusOfPrimary"] = json!("available");
    properties["creationTime"] = json!(now);
    doc["properties"] = properties;
    doc
}

/// `storageAccounts/A` with PUT: 202 until it is there, 200 for one that is.
pub fn put(call: &Call) -> Result<Answer> {
    names::check_account(call.name(0))?;
    tags::check(&call.body)?;
    tags::location(call)?;
    let id = id(call);
    if let Some(other) = by_name(&call.simulator, call.name(0))? {
        if !other["id"].as_str().unwrap_or_default().eq_ignore_ascii_case(&id) {
            let message = format!("The storage account named {} is already taken.", call.name(0));
            return Err(ArmError::conflict("StorageAccountAlreadyTaken", message));
        }
        let doc = document(&call.simulator, &id, call.name(0), &call.body, &other["_keys"]);
        store::put(&call.simulator.db, KIND, &call.group_id(), &id, &doc, 0)?;
        return Ok(Answer::ok(shown(&call.base, doc)));
    }
    let keys = json!([super::new_key(), super::new_key()]);
    let doc = document(&call.simulator, &id, call.name(0), &call.body, &keys);
    let (simulator, group, base) = (call.simulator.clone(), call.group_id(), call.base.clone());
    let operation = operations::begin(call, async move {
        tokio::time::sleep(simulator.config.profile.latency(Step::Provision)).await;
        std::fs::create_dir_all(simulator.files.account(doc["name"].as_str().unwrap_or_default()))?;
        store::put(&simulator.db, KIND, &group, &id, &doc, 0)?;
        Ok(Some(shown(&base, doc)))
    })?;
    Ok(Answer::empty(StatusCode::ACCEPTED).with_operation(call, &operation, Style::Location))
}

/// Makes one that is there from the start, if it is not.
///
/// # Errors
/// The database's.
pub fn make(simulator: &Simulator, group: &str, name: &str, keys: &Value) -> Result<()> {
    let id = format!("{group}/providers/Microsoft.Storage/storageAccounts/{name}");
    std::fs::create_dir_all(simulator.files.account(name))?;
    if store::get(&simulator.db, &id)?.is_none() {
        let doc = document(simulator, &id, name, &Value::Null, keys);
        store::put(&simulator.db, KIND, group, &id, &doc, 0)?;
    }
    Ok(())
}

/// `storageAccounts/A` with DELETE: shares go with it.
pub fn delete(call: &Call) -> Result<Answer> {
    let removed = store::delete(&call.simulator.db, &id(call))?;
    if !removed {
        return Ok(Answer::empty(StatusCode::NO_CONTENT));
    }
    let folder = call.simulator.files.account(call.name(0));
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    Ok(Answer::empty(StatusCode::OK))
}

fn keys(doc: &Value) -> Value {
    let list = doc["_keys"].as_array().into_iter().flatten().enumerate();
    let list: Vec<Value> = list
        .map(|(index, key)| {
            json!({
                "keyName": format!("key{}", index + 1), "value": key, "permissions": "FULL",
                "creationTime": doc["properties"]["creationTime"],
            })
        })
        .collect();
    json!({"keys": list})
}

/// `listKeys` with POST
pub fn list_keys(call: &Call) -> Result<Answer> {
    Ok(Answer::ok(keys(&find(call)?)))
}

/// `regenerateKey` with POST
pub fn regenerate_key(call: &Call) -> Result<Answer> {
    find(call)?;
    let index = match call.body["keyName"].as_str() {
        Some("key1") => 0,
        Some("key2") => 1,
        other => {
            let message = format!("The key '{}' is none of key1 and key2.", other.unwrap_or_default());
            return Err(ArmError::bad("InvalidKeyName", message));
        }
    };
    let doc =
        store::update(&call.simulator.db, &id(call), |doc| doc["_keys"][index] = json!(super::new_key()))?;
    Ok(Answer::ok(keys(&doc.ok_or_else(|| call.missing("storageAccounts", call.name(0)))?)))
}

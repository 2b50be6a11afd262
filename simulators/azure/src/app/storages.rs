//! `managedEnvironments/E/storages`: shares that an environment knows.

use http::StatusCode;
use serde_json::{Value, json};

use super::document::{self, shown};
use super::environments;
use crate::arm::{Answer, Call, store, tags};
use crate::error::{ArmError, Result};

/// The collection.
pub const KIND: &str = "microsoft.app/managedenvironments/storages";

fn environment(call: &Call) -> Result<String> {
    let id = call.id(&["managedEnvironments", call.name(0)]);
    match environments::find(&call.simulator, &id)? {
        Some(_) => Ok(id),
        None => Err(call.missing("managedEnvironments", call.name(0))),
    }
}

fn missing(call: &Call) -> ArmError {
    let message =
        format!("The storage '{}' of the environment '{}' was not found.", call.name(1), call.name(0));
    ArmError::not_found("ManagedEnvironmentStorageNotFound", message)
}

/// `storages/N` with GET; the key stays out.
pub fn get(call: &Call) -> Result<Answer> {
    let id = format!("{}/storages/{}", environment(call)?, call.name(1));
    let found = store::get(&call.simulator.db, &id)?.filter(document::is_seen);
    Ok(Answer::ok(shown(found.ok_or_else(|| missing(call))?)))
}

/// `storages` with GET: all at once.
pub fn list(call: &Call) -> Result<Answer> {
    let found = store::children(&call.simulator.db, KIND, &environment(call)?)?;
    Ok(Answer::ok(json!({"value": found.into_iter().map(shown).collect::<Vec<_>>()})))
}

/// `storages/N` with PUT: done at once.
pub fn put(call: &Call) -> Result<Answer> {
    let environment = environment(call)?;
    let name = call.name(1);
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    if name.len() > 63
        || !name.bytes().all(plain)
        || name.starts_with(['-', '.'])
        || name.ends_with(['-', '.'])
    {
        let message = format!("Invalid storage name '{name}': lower case letters, digits, '-' and '.'.");
        return Err(ArmError::bad("ManagedEnvironmentStorageInvalidName", message));
    }
    check(&call.body["properties"])?;
    let id = format!("{environment}/storages/{name}");
    let old = store::get(&call.simulator.db, &id)?;
    let mut doc = call.body.clone();
    doc["id"] = json!(id);
    doc["name"] = json!(name);
    doc["type"] = json!("Microsoft.App/managedEnvironments/storages");
    doc["systemData"] = tags::system_data(old.as_ref());
    doc["_seen"] = document::seen(&call.simulator, old.as_ref());
    // An environment tells all of its storages, without delay.
    store::put(&call.simulator.db, KIND, &environment, &id, &doc, 0)?;
    Ok(Answer::ok(shown(doc)))
}

fn check(properties: &Value) -> Result<()> {
    let invalid = |message: &str| Err(ArmError::bad("ManagedEnvironmentStorageInvalid", message));
    let file = &properties["azureFile"];
    if properties["nfsAzureFile"].is_object() {
        return invalid("NFS shares are not simulated.");
    }
    if !file.is_object() {
        return invalid("The property 'azureFile' or 'nfsAzureFile' is required.");
    }
    for field in ["accountName", "shareName"] {
        if file[field].as_str().is_none_or(str::is_empty) {
            return invalid(&format!("The property 'azureFile.{field}' is required."));
        }
    }
    match (file["accountKey"].as_str(), &file["accountKeyVaultProperties"]) {
        (Some(key), _) if !key.is_empty() => Ok(()),
        (_, Value::Object(_)) => invalid("Keys in a Key Vault are not simulated; give 'accountKey'."),
        _ => invalid(
            "The property 'azureFile.accountKey' or 'azureFile.accountKeyVaultProperties' is required.",
        ),
    }
}

/// `storages/N` with DELETE: done at once.
pub fn delete(call: &Call) -> Result<Answer> {
    let id = format!("{}/storages/{}", environment(call)?, call.name(1));
    let removed = store::delete(&call.simulator.db, &id)?;
    Ok(Answer::empty(if removed { StatusCode::OK } else { StatusCode::NO_CONTENT }))
}

//! What is there from the start.

use serde_json::json;

use crate::error::Result;
use crate::server::Simulator;
use crate::{app, dns, storage};

/// The managed environment.
pub const ENVIRONMENT: &str = "sim-environment";
/// The storage account.
pub const ACCOUNT: &str = "simstorage";

/// The private DNS zone, which is linked to the virtual network.
pub const ZONE: &str = "sockerless.internal";

/// The id of the virtual network.
pub fn network(subscription: &str, group: &str) -> String {
    format!(
        "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/virtualNetworks/sim-network"
    )
}

/// The id of the user-assigned identity.
pub fn identity(subscription: &str, group: &str) -> String {
    format!(
        "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/sim-identity"
    )
}

/// Makes what is missing.
///
/// # Errors
/// The database's.
pub fn make(simulator: &Simulator) -> Result<()> {
    let info = &simulator.info;
    let group = format!("/subscriptions/{}/resourceGroups/{}", info.subscription, info.resource_group);
    app::make_environment(simulator, &group, ENVIRONMENT, &info.network)?;
    dns::make_zone(simulator, &group, ZONE, &info.network)?;
    let keys = json!([info.storage_key, storage::new_key()]);
    storage::make_account(simulator, &group, ACCOUNT, &keys)
}

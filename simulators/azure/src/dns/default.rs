//! The zone that is there from the start, as an operator makes one: linked to the virtual network.

use serde_json::json;

use super::{links, records, zones};
use crate::arm::store;
use crate::error::Result;
use crate::ids;
use crate::server::Simulator;

/// Makes it, unless it is there. `network` is a resource id.
///
/// # Errors
/// The database's.
pub fn make(simulator: &Simulator, group: &str, name: &str, network: &str) -> Result<()> {
    let id = format!("{group}/providers/Microsoft.Network/privateDnsZones/{name}");
    if store::get(&simulator.db, &id)?.is_some() {
        return Ok(());
    }
    let zone = json!({
        "id": id, "name": name, "type": "Microsoft.Network/privateDnsZones", "location": "global", "etag": ids::uuid(),
        "properties": {"provisioningState": "Succeeded"},
    });
    store::put(&simulator.db, zones::KIND, group, &id, &zone, 0)?;
    records::apex(&simulator.db, &id, name)?;
    let link_id = format!("{id}/virtualNetworkLinks/sim-network");
    let link = json!({
        "id": link_id, "name": "sim-network", "type": "Microsoft.Network/privateDnsZones/virtualNetworkLinks",
        "location": "global", "etag": ids::uuid(),
        "properties": {
            "virtualNetwork": {"id": network}, "registrationEnabled": false, "provisioningState": "Succeeded",
            "virtualNetworkLinkState": "Completed",
        },
    });
    store::put(&simulator.db, links::KIND, &id, &link_id, &link, 0)?;
    Ok(())
}

//! `docker volume rm`.

use std::sync::Arc;

use sockerless_ports::store::{Change, Kind};

use super::{Volume, missing};
use crate::{Engine, Error, ErrorKind, Result, containers::Entry};

impl Engine {
    /// `DELETE /volumes/{name}`. With `force` one that is gone is no error, and the data is taken from under containers that do not
    /// run (they get an empty volume at their next start): dockerd refuses that.
    ///
    /// Errors: 404, 409 while containers have it, 500 with the provider's words: the volume is there still.
    pub async fn remove_volume(&self, name: &str, force: bool) -> Result<()> {
        let (engine, name) = (self.shared()?, name.to_owned());
        let remove = async move {
            let _gate = engine.volumes.gate(&name).await;
            let (volume, users) = (engine.volumes.get(&name), engine.users(&name));
            // One that is a part of its container goes with that alone.
            let own = volume.is_none() && engine.own_volumes().iter().any(|volume| volume.name == name);
            let holds = |entry: &&Arc<Entry>| own || !force || entry.view().state.is_live();
            let holders: Vec<&str> = users.iter().filter(holds).map(|entry| entry.id()).collect();
            if (volume.is_some() || own) && !holders.is_empty() {
                let words = format!("remove {name}: volume is in use - [{}]", holders.join(", "));
                return Err(Error::new(ErrorKind::Conflict, words));
            }
            match volume {
                Some(volume) => engine.erase_volume(&volume).await,
                None if force => Ok(()),
                None => Err(missing(&name)),
            }
        };
        self.complete(remove).await
    }

    /// Removes the data, then the record: what fails in between is there to be removed again. With the gate held.
    pub(super) async fn erase_volume(&self, volume: &Volume) -> Result<()> {
        let name = &volume.name;
        let cloud = self.cloud(&volume.backend)?;
        cloud
            .call("remove-volume", || cloud.backend.remove_volume(&self.owner, name))
            .await
            .map_err(|error| Error::from(error).prefixed(&format!("{}: volume remove {name}", cloud.name)))?;
        self.commit(vec![Change::Delete(Kind::Volume, name.clone())]).await?;
        self.volumes.remove(name);
        self.events.volume("destroy", name, &[("driver", &cloud.manifest().volumes.name)]);
        Ok(())
    }
}

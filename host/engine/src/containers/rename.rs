//! `docker rename`.

use std::sync::Arc;

use super::{
    create::name_in_use,
    names,
    spec::ContainerRecord,
    table::{Entry, View},
};
use crate::{Engine, Error, ErrorKind, Result, life::Phase};

/// What dockerd puts before each error about a new name.
const NEW_NAME: &str = "Error when allocating new name";

impl Engine {
    /// `POST /containers/{id}/rename`.
    ///
    /// Errors: 400 for a malformed name or the one that it has, 409 for one in use.
    pub async fn rename(&self, reference: &str, name: &str) -> Result<()> {
        let entry = self.containers.find(reference)?;
        if name.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "Neither old nor new names may be empty"));
        }
        let name = names::parse(name).map_err(|error| error.prefixed(NEW_NAME))?;
        let engine = self.shared()?;
        self.complete(async move { engine.rename_now(&entry, name).await }).await
    }

    async fn rename_now(&self, entry: &Arc<Entry>, name: String) -> Result<()> {
        let _gate = entry.gate.lock().await;
        let before = entry.view();
        if before.state.phase == Phase::Removed {
            return Err(Error::new(ErrorKind::NotFound, format!("No such container: {}", entry.id())));
        }
        if before.name == name {
            let message = "Renaming a container with the same name as its current name";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        self.containers
            .reserve(&name, entry.id())
            .map_err(|holder| name_in_use(&name, &holder).prefixed(NEW_NAME))?;
        let kept = match ContainerRecord::put(&before.spec, &name, &before.state) {
            Ok(change) => self.commit(vec![change]).await,
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            self.containers.release(&name, entry.id());
            return Err(error);
        }
        entry.publish(View { name: name.clone(), ..(*before).clone() });
        self.networks_changed(before.state.active().iter().map(|endpoint| endpoint.network.clone()));
        self.containers.release(&before.name, entry.id());
        self.events.container(entry, &name, "rename", &[("oldName", format!("/{}", before.name))]);
        Ok(())
    }
}

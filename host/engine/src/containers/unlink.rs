//! `docker rm --link`: a link on the default network, by the name that it has among the containers: `CONTAINER/ALIAS`.

use std::sync::Arc;

use super::{
    spec::{ContainerRecord, Spec},
    table::View,
};
use crate::{Engine, Error, ErrorKind, Result, networks::parse_link, supervisor::run_id};

impl Engine {
    /// Removes a link for good; who is linked keeps its environment until the next start, as with dockerd.
    ///
    /// Errors: 404 where there is none of that name, 500 in dockerd's words for the name of a container.
    pub(super) async fn remove_link(&self, reference: &str) -> Result<()> {
        let name = reference.strip_prefix('/').unwrap_or(reference);
        let Some((holder, alias)) = name.rsplit_once('/') else {
            self.containers.find(reference)?;
            let message = "Conflict, cannot remove the default link name of the container";
            return Err(Error::new(ErrorKind::Internal, message));
        };
        let missing = || Error::new(ErrorKind::NotFound, format!("No such container: {reference}"));
        let entry = self.containers.find(holder).map_err(|_| missing())?;
        let _gate = entry.gate.lock().await;
        let before = entry.view();
        // A container that is gone has taken its links with it.
        let is_it = |link: &String| {
            parse_link(link)
                .is_ok_and(|(target, known)| known == alias && self.containers.get(target).is_some())
        };
        let mut links = before.spec.host.links.clone().unwrap_or_default();
        if before.name != holder || !links.iter().any(is_it) {
            return Err(missing());
        }
        links.retain(|link| !is_it(link));
        let mut host = before.spec.host.clone();
        host.links = (!links.is_empty()).then_some(links);
        let spec = Arc::new(Spec { host, ..(*before.spec).clone() });
        self.commit(vec![ContainerRecord::put(&spec, &before.name, &before.state)?]).await?;
        entry.publish(View { spec, ..(*before).clone() });
        self.networks_changed(before.state.active().iter().map(|endpoint| endpoint.network.clone()));
        // Without links it knows of nobody there, and would not be told of changes.
        self.link.refresh(&run_id(&entry, before.state.generation));
        Ok(())
    }
}

//! The documented operations that this version does not have: 501, with the reason.

use axum::{
    Router,
    routing::{MethodFilter, on},
};

use crate::{App, errors::ApiError};

/// `POST /images/{name}/push`
pub const IMAGE_PUSH: &str =
    "pushing images is not supported yet: `docker save` the image, and push it from another machine";
/// `POST /images/create?fromSrc=URL`
pub const IMPORT_FROM_URL: &str =
    "importing from a URL is not supported: download the archive and pipe it into `docker import -`";

const VOLUME: &str = "cluster volumes are not supported: this daemon is not part of a swarm";
const BUILD: &str = "building images is not supported yet: it comes with a later version; build elsewhere and push to a registry, or `docker load`";
const PLUGIN: &str = "managing plugins through the Docker API is not supported yet: use `sockerless plugin`";
const SWARM: &str = "Swarm is not supported: the cloud schedules containers";
const SEARCH: &str = "searching registries is not supported: search on the registry's own site";
const DISTRIBUTION: &str =
    "inspecting images in registries is not supported yet: pull the image, or use `skopeo inspect`";

const OPERATIONS: &[(MethodFilter, &str, &str)] = &[
    (MethodFilter::POST, "/build", BUILD),
    (MethodFilter::POST, "/build/prune", BUILD),
    (MethodFilter::POST, "/session", BUILD),
    (MethodFilter::GET, "/distribution/{*name}", DISTRIBUTION),
    (MethodFilter::GET, "/images/search", SEARCH),
    (MethodFilter::PUT, "/volumes/{name}", VOLUME),
    (MethodFilter::GET, "/plugins", PLUGIN),
    // A plugin's name has slashes in it.
    (MethodFilter::GET.or(MethodFilter::POST).or(MethodFilter::DELETE), "/plugins/{*rest}", PLUGIN),
    (MethodFilter::GET, "/nodes", SWARM),
    (MethodFilter::GET.or(MethodFilter::DELETE), "/nodes/{id}", SWARM),
    (MethodFilter::POST, "/nodes/{id}/update", SWARM),
    (MethodFilter::GET, "/swarm", SWARM),
    (MethodFilter::POST, "/swarm/init", SWARM),
    (MethodFilter::POST, "/swarm/join", SWARM),
    (MethodFilter::POST, "/swarm/leave", SWARM),
    (MethodFilter::POST, "/swarm/update", SWARM),
    (MethodFilter::GET, "/swarm/unlockkey", SWARM),
    (MethodFilter::POST, "/swarm/unlock", SWARM),
    (MethodFilter::GET, "/services", SWARM),
    (MethodFilter::POST, "/services/create", SWARM),
    (MethodFilter::GET.or(MethodFilter::DELETE), "/services/{id}", SWARM),
    (MethodFilter::POST, "/services/{id}/update", SWARM),
    (MethodFilter::GET, "/services/{id}/logs", SWARM),
    (MethodFilter::GET, "/tasks", SWARM),
    (MethodFilter::GET, "/tasks/{id}", SWARM),
    (MethodFilter::GET, "/tasks/{id}/logs", SWARM),
    (MethodFilter::GET, "/secrets", SWARM),
    (MethodFilter::POST, "/secrets/create", SWARM),
    (MethodFilter::GET.or(MethodFilter::DELETE), "/secrets/{id}", SWARM),
    (MethodFilter::POST, "/secrets/{id}/update", SWARM),
    (MethodFilter::GET, "/configs", SWARM),
    (MethodFilter::POST, "/configs/create", SWARM),
    (MethodFilter::GET.or(MethodFilter::DELETE), "/configs/{id}", SWARM),
    (MethodFilter::POST, "/configs/{id}/update", SWARM),
];

pub fn routes() -> Router<App> {
    OPERATIONS.iter().fold(Router::new(), |router, (methods, path, why)| {
        router.route(path, on(*methods, move || async move { ApiError::unsupported(*why) }))
    })
}

//! Who belongs together.

use std::collections::BTreeSet;

use crate::{
    Engine,
    containers::{Spec, View, is_service},
    networks::settings_of,
};

/// Label of a container: the name of its pod. Members are on the same networks and of the same backend.
pub(crate) const LABEL: &str = "sockerless.pod";
/// Option of a network (`docker network create -o`): the containers that are on it alone are a pod.
pub(crate) const OPTION: &str = "com.sockerless.pod";

/// What members of a pod have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// Their label, and the ids of their networks: who shares localhost reaches what the other does.
    Label { name: String, networks: BTreeSet<String>, backend: String },
    /// The network's id.
    Network { network: String, backend: String },
    /// The network stack of the container of this id.
    Stack(String),
}

/// The id of the container whose network stack this one has (`--network container:X`).
pub(crate) fn shares_with(spec: &Spec) -> Option<&str> {
    spec.host.network_mode.as_deref()?.strip_prefix("container:")
}

impl Engine {
    /// The pod that a container belongs to; none if it is to have a job of its own.
    pub(crate) fn pod_key(&self, view: &View) -> Option<Key> {
        let spec = &view.spec;
        let able = self.cloud(&spec.backend).is_ok_and(|cloud| cloud.manifest().features.sidecars);
        if !able || self.link.callback_url().is_none() {
            return None;
        }
        let root = self.stack_of(view);
        // What can be dialled is one container's.
        if is_service(&root.spec) {
            return None;
        }
        let asked = self.asked_pod(&root.spec);
        let shared = || {
            let id = &root.spec.id;
            let others = self.containers.all().into_iter();
            (*id != spec.id || others.into_iter().any(|entry| shares_with(&entry.spec) == Some(id)))
                .then(|| Key::Stack(id.clone()))
        };
        asked.or_else(shared)
    }

    /// The container whose network stack a container has in the end: itself, in most cases.
    pub(crate) fn stack_of(&self, view: &View) -> View {
        let mut view = view.clone();
        // A container is created after the one that it names, so there is no circle.
        while let Some(other) = shares_with(&view.spec).and_then(|id| self.containers.get(id)) {
            view = (*other.view()).clone();
        }
        view
    }

    /// By label or by network.
    fn asked_pod(&self, spec: &Spec) -> Option<Key> {
        let backend = spec.backend.clone();
        let settings = settings_of(spec);
        if let Some(name) = spec.label(LABEL).filter(|name| !name.is_empty()) {
            let networks = settings.keys().map(|key| self.network_id(key)).collect();
            return Some(Key::Label { name: name.to_owned(), networks, backend });
        }
        let only = settings.keys().next().filter(|_| settings.len() == 1)?;
        let network = self.network_option(only, OPTION).filter(|(_, value)| is_true(value))?.0;
        Some(Key::Network { network, backend })
    }
}

/// As Docker's options of networks are read.
fn is_true(text: &str) -> bool {
    matches!(text.to_lowercase().as_str(), "true" | "1" | "t" | "")
}

#[cfg(test)]
mod tests {
    use bollard_stubs::models::HostConfig;

    use super::*;

    #[test]
    fn only_the_mode_container_shares_a_stack() {
        let with = |mode: &str| Spec {
            host: HostConfig { network_mode: Some(mode.into()), ..HostConfig::default() },
            ..Spec::default()
        };
        assert_eq!(shares_with(&with("container:abc")), Some("abc"));
        assert_eq!(shares_with(&with("bridge")), None);
        assert_eq!(shares_with(&Spec::default()), None);
    }

    #[test]
    fn an_option_without_a_value_is_set() {
        assert!(["true", "TRUE", "1", ""].into_iter().all(is_true));
        assert!(!["false", "0", "no"].into_iter().any(is_true));
    }
}

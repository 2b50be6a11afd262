//! Docker's events of a life.

use rand::random;

use crate::{
    Engine,
    containers::{Entry, View, health_check},
    life::Announcement,
};

impl Engine {
    pub(super) fn announce(&self, entry: &Entry, view: &View, announcement: &Announcement) {
        let with = |action: &str, more: &[(&str, String)]| {
            self.events.container(entry, &view.name, action, more);
        };
        match announcement {
            Announcement::Start => with("start", &[]),
            Announcement::Kill { signal } => with("kill", &[("signal", signal.to_string())]),
            Announcement::OutOfMemory => with("oom", &[]),
            Announcement::Die { code, seconds } => {
                with("die", &[("execDuration", seconds.to_string()), ("exitCode", code.to_string())]);
                self.announce_left(entry, view);
            }
            Announcement::Stop => with("stop", &[]),
            Announcement::Unpause => with("unpause", &[]),
            Announcement::Health(status) => {
                with(&format!("health_status: {}", crate::containers::health_word(*status)), &[]);
            }
            // dockerd's probes are execs, with the events of such.
            Announcement::Probe { code } => {
                let id = hex::encode(random::<[u8; 32]>());
                let line = health_check(&entry.spec).map(|check| check.argv.join(" ")).unwrap_or_default();
                let named = ("execID", id);
                with(&format!("exec_create: {line}"), std::slice::from_ref(&named));
                with(&format!("exec_start: {line}"), std::slice::from_ref(&named));
                with("exec_die", &[named, ("exitCode", code.to_string())]);
            }
        }
    }
}

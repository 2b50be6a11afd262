//! A container's line in `docker ps`, kept as JSON.
//!
//! Clients ask for the list again and again, and from one time to the next hardly anything in it has changed. Making a
//! thousand models and writing them as JSON costs many times more than sending the bytes, so each container keeps its own
//! until it changes. Only the words that depend on the clock are written each time.

use std::{
    io::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use bollard_stubs::models::ContainerSummary;
use jiff::Timestamp;

use super::{status, table::View};
use crate::images::Names;

/// What a summary is made of, besides the container's unchanging part. Whatever a summary shows of something
/// that changes has to be part of this.
#[derive(Clone)]
pub(crate) struct Source {
    pub view: Arc<View>,
    /// What names of images stand for.
    pub images: Arc<Names>,
    /// The image's size was asked for.
    pub size: bool,
}

impl Source {
    /// Views and names are never changed but replaced, so the same ones say the same. What they point to is not looked at:
    /// fetching it from memory is what a long list would take its time for.
    fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.view, &other.view)
            && Arc::ptr_eq(&self.images, &other.images)
            && self.size == other.size
    }
}

/// The last summary of a container.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Option<Written>>);

struct Written {
    source: Source,
    /// The JSON object without `Status` and without the closing brace.
    json: Box<[u8]>,
}

impl Kept {
    /// Appends the container's JSON object, with its status as of `now`. `model` makes the summary, whose
    /// `status` is left out, when the one that is kept was made of something else.
    pub fn append(
        &self,
        source: Source,
        now: Timestamp,
        json: &mut Vec<u8>,
        model: impl FnOnce(&Source) -> ContainerSummary,
    ) -> serde_json::Result<()> {
        // A panic in `model` leaves what was kept before, which is whole.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match kept.as_mut() {
            Some(written) if written.source.same(&source) => written,
            _ => kept.insert(Written { json: open_object(&model(&source))?, source }),
        };
        json.extend_from_slice(&written.json);
        // Docker's words for a state hold nothing that JSON escapes; a vector takes all.
        let _ = write!(json, ",\"Status\":\"{}\"}}", status::text(&written.source.view.state, now));
        Ok(())
    }
}

/// The object without its closing brace.
fn open_object(model: &ContainerSummary) -> serde_json::Result<Box<[u8]>> {
    let mut json = serde_json::to_vec(model)?;
    json.pop();
    Ok(json.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::life::{Phase, State};

    fn source() -> Source {
        let started = Timestamp::from_second(1_700_000_000).ok();
        let state = State { phase: Phase::Running, started, ..State::default() };
        let view = View { name: "web".into(), state, spec: Arc::default() };
        Source { view: Arc::new(view), images: Arc::default(), size: false }
    }

    fn listed(kept: &Kept, source: &Source, second: i64, model: Option<&str>) -> ContainerSummary {
        let mut json = Vec::new();
        let now = Timestamp::from_second(second).unwrap();
        kept.append(source.clone(), now, &mut json, |_| ContainerSummary {
            id: Some(model.expect("what is kept serves").into()),
            ..ContainerSummary::default()
        })
        .unwrap();
        serde_json::from_slice(&json).unwrap()
    }

    #[test]
    fn what_has_not_changed_is_written_once_but_for_the_time() {
        let (kept, source) = (Kept::default(), source());
        let first = listed(&kept, &source, 1_700_000_005, Some("a"));
        assert_eq!((first.id.as_deref(), first.status.as_deref()), (Some("a"), Some("Up 5 seconds")));
        let second = listed(&kept, &source, 1_700_000_006, None);
        assert_eq!((second.id.as_deref(), second.status.as_deref()), (Some("a"), Some("Up 6 seconds")));
    }

    #[test]
    fn each_change_of_what_it_is_made_of_makes_another() {
        let (kept, source) = (Kept::default(), source());
        let id = |source: &Source, model: &str| listed(&kept, source, 1_700_000_005, Some(model)).id;
        assert_eq!(id(&source, "a").as_deref(), Some("a"));
        let renamed = Source { view: Arc::new((*source.view).clone()), ..source.clone() };
        assert_eq!(id(&renamed, "b").as_deref(), Some("b"));
        assert_eq!(id(&Source { images: Arc::default(), ..renamed.clone() }, "c").as_deref(), Some("c"));
        assert_eq!(id(&Source { size: true, ..renamed.clone() }, "d").as_deref(), Some("d"));
        assert_eq!(id(&renamed, "e").as_deref(), Some("e"));
    }
}

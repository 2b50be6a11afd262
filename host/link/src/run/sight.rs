//! What a run's agent is told of the mesh.

use bytes::BytesMut;
use sockerless_agent_wire::{Frame, FrameError, FromDaemon, MESH};
use sockerless_ports::link::MeshView;

/// See the module.
#[derive(Debug, Default)]
pub struct Sight {
    /// The version of the protocol that is spoken; none before the first connection.
    version: Option<u32>,
    view: Option<MeshView>,
    /// To be told.
    due: bool,
    /// Questions for the view so far, and the newest one that was answered.
    asked: u64,
    answered: u64,
    /// How often the agent asked for a connection to where its container is not.
    foreign: u64,
}

impl Sight {
    /// A new connection.
    pub fn resume(&mut self, version: u32) {
        self.version = Some(version);
        self.due = self.view.is_some();
    }

    /// Whether agent and daemon have agreed on a version with a mesh.
    pub fn is_spoken(&self) -> bool {
        self.version.is_some_and(|version| version >= MESH)
    }

    /// Whether they have agreed on one without.
    pub fn is_missing(&self) -> bool {
        self.version.is_some_and(|version| version < MESH)
    }

    /// The engine is about to be asked; gives the question's number.
    pub fn ask(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }

    /// The answer. One that was asked for before another was answered may be older than that, and is of no use: after each
    /// change the engine has asked once more. True if there is something to tell.
    pub fn answer(&mut self, question: u64, view: MeshView) -> bool {
        if question <= self.answered {
            return false;
        }
        self.answered = question;
        if self.view.as_ref() == Some(&view) {
            return false;
        }
        self.view = Some(view);
        self.due = true;
        true
    }

    /// Counts what the agent has no business with.
    pub fn note_foreign(&mut self) -> u64 {
        self.foreign += 1;
        self.foreign
    }

    /// Appends what is to be told.
    pub fn send(&mut self, message: &mut BytesMut) -> Result<(), FrameError> {
        if self.is_spoken()
            && std::mem::take(&mut self.due)
            && let Some(view) = &self.view
        {
            Frame::control(&FromDaemon::Mesh(Box::new(view.clone())))?.encode(message);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(catch: bool) -> MeshView {
        MeshView { catch, ..MeshView::default() }
    }

    fn told(sight: &mut Sight) -> bool {
        let mut message = BytesMut::new();
        sight.send(&mut message).unwrap();
        !message.is_empty()
    }

    #[test]
    fn a_view_is_told_once_on_each_connection_and_when_it_changes() {
        let mut sight = Sight::default();
        let question = sight.ask();
        assert!(sight.answer(question, view(false)));
        assert!(!told(&mut sight), "nobody is there");
        sight.resume(MESH);
        assert!(told(&mut sight));
        let question = sight.ask();
        assert!(!sight.answer(question, view(false)), "nothing new");
        assert!(!told(&mut sight));
        sight.resume(MESH);
        assert!(told(&mut sight));
        sight.resume(MESH - 1);
        assert!(!told(&mut sight), "the agent would not understand it");
    }

    #[test]
    fn an_answer_that_comes_late_does_not_replace_a_newer_one() {
        let mut sight = Sight::default();
        sight.resume(MESH);
        let (first, second) = (sight.ask(), sight.ask());
        assert!(sight.answer(second, view(true)));
        assert!(!sight.answer(first, view(false)));
        assert_eq!(sight.view, Some(view(true)));
    }
}

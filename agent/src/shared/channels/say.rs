//! What is said about channels, and their bytes.

use bytes::BytesMut;
use sockerless_agent_wire::{
    Frame, FrameError, FromAgent,
    request::{Fault, FaultKind, Reply},
    streams,
};

use super::Channels;

impl Channels {
    /// Appends what is to be said about channels, as far as the message goes.
    pub fn send(&mut self, most: usize, message: &mut BytesMut) -> Result<(), FrameError> {
        self.hang_up_all(most, message)?;
        while message.len() < most
            && let Some(channel) = self.due.take()
        {
            let Some(slot) = self.open.get(&channel) else { continue };
            let mut inner = slot.inner();
            if let Some(own) = &mut inner.own
                && std::mem::take(&mut own.ask_due)
            {
                let asked = match own.target {
                    Some(target) => FromAgent::Connect { channel, target },
                    None => FromAgent::ConnectApi { channel },
                };
                Frame::control(&asked)?.encode(message);
            }
            if std::mem::take(&mut inner.reply_due)
                && let Some(reply) = &inner.reply
            {
                let reply = reply.clone();
                let outputs = [inner.outputs[0].acknowledged(), inner.outputs[1].acknowledged()];
                let position = inner.input.position(streams::of(channel, streams::INPUT));
                let input = (position.offset, position.credit);
                let opened = |reply| Frame::control(&FromAgent::Opened { channel, reply, input, outputs });
                let frame = match opened(reply) {
                    Err(FrameError::Size(size)) => opened(Reply::Failed(Fault {
                        kind: FaultKind::Internal,
                        message: format!("the answer is too long: {size} bytes"),
                    }))?,
                    frame => frame?,
                };
                frame.encode(message);
            }
            if let Some((offset, credit)) = inner.input.acknowledgement() {
                let stream = streams::of(channel, streams::INPUT);
                Frame::Acknowledge { stream, offset, credit }.encode(message);
            }
            if std::mem::take(&mut inner.stop_due) {
                Frame::Stop { stream: streams::of(channel, streams::INPUT) }.encode(message);
            }
            drop(inner);
            self.end(channel, message)?;
        }
        Ok(())
    }

    /// Appends acknowledgements that may wait.
    pub fn send_later(&mut self, most: usize, message: &mut BytesMut) {
        while message.len() < most
            && let Some(channel) = self.later.take()
        {
            let Some(slot) = self.open.get(&channel) else { continue };
            if let Some((offset, credit)) = slot.inner().input.acknowledgement() {
                let stream = streams::of(channel, streams::INPUT);
                Frame::Acknowledge { stream, offset, credit }.encode(message);
            }
        }
    }

    /// Appends a stream's next bytes. True if it has more; none if the channel was closed.
    pub fn send_stream(
        &self,
        stream: u32,
        most: usize,
        message: &mut BytesMut,
    ) -> Result<Option<bool>, FrameError> {
        let (channel, kind) = streams::split(stream);
        let Some(slot) = self.open.get(&channel) else { return Ok(None) };
        let more = slot.inner().outputs().find(|(of, _)| *of == kind).map(|(_, outbox)| {
            outbox.send(stream, most, message);
            outbox.is_ready()
        });
        self.end(channel, message)?;
        Ok(more)
    }

    /// How many bytes of a stream wait and are under way; none for one that must not wait for more.
    pub fn in_bulk(&self, stream: u32) -> Option<(u64, u64)> {
        let (channel, kind) = streams::split(stream);
        let Some(slot) = self.open.get(&channel) else { return Some((0, 0)) };
        let mut inner = slot.inner();
        if !inner.bulk || inner.end.is_some() {
            return None;
        }
        let found = inner.outputs().find(|(of, _)| *of == kind);
        Some(found.map_or((0, 0), |(_, outbox)| (outbox.waiting(), outbox.under_way())))
    }

    /// Whether there is something to be said.
    pub fn has_due(&self) -> bool {
        !self.due.is_empty() || !self.own.hung_up.is_empty()
    }

    /// Says that a channel is over, once all its output was sent.
    fn end(&self, channel: u32, message: &mut BytesMut) -> Result<(), FrameError> {
        let Some(slot) = self.open.get(&channel) else { return Ok(()) };
        let mut inner = slot.inner();
        if inner.end_due
            && inner.is_sent()
            && let Some(end) = inner.end.clone()
        {
            inner.end_due = false;
            Frame::control(&FromAgent::Ended { channel, end })?.encode(message);
        }
        Ok(())
    }
}

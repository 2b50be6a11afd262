//! What is tried with each input: reading it as a message, and believing what it says.

use bytes::{Bytes, BytesMut};
use sockerless_agent_wire::{Frame, Frames, FromAgent, FromDaemon, Inbox, Outbox, Pieces, streams};

/// Reads a message. Panics where the decoder, or what follows it, breaks a promise.
pub fn decode(input: &[u8]) {
    let mut outbox = Outbox::new(0);
    outbox.push(Bytes::from_static(&[7; 1000]));
    let mut inbox = Inbox::new(0, 1000);
    let mut pieces = Pieces::default();
    let (mut read, mut received) = (0, 0);
    for frame in Frames::new(Bytes::copy_from_slice(input)) {
        let Ok(frame) = frame else { break };
        let mut again = BytesMut::new();
        frame.encode(&mut again);
        // What carries nothing has numbers that nobody reads: only its kind and length are the same.
        let is_whole = matches!(frame, Frame::Data { .. } | Frame::Acknowledge { .. });
        let original = &input[read..read + again.len()];
        assert!(if is_whole { again == original } else { again[0] == original[0] });
        read += again.len();
        match frame {
            Frame::Control(json) => {
                // Whoever can be read can be written, and reads the same.
                if let Ok(message) = FromAgent::parse(&json) {
                    same(&message, FromAgent::parse);
                }
                if let Ok(message) = FromDaemon::parse(&json) {
                    same(&message, FromDaemon::parse);
                }
            }
            Frame::Data { stream, offset, bytes } => {
                let _ = streams::of(streams::split(stream).0, streams::split(stream).1);
                if let Ok(new) = inbox.accept(offset, bytes) {
                    received += new.len();
                    pieces.push(stream, new);
                }
            }
            Frame::Finish { offset, .. } => drop(inbox.finish(offset)),
            Frame::Acknowledge { offset, credit, .. } => {
                if outbox.acknowledge(offset, credit).is_err() {
                    let _ = outbox.resume(offset, credit);
                }
                let mut message = BytesMut::new();
                while outbox.send(streams::STDIN, 100, &mut message) {}
                assert!(message.len() <= 1000 + 17 * 11);
            }
            Frame::Stop { .. } => outbox.finish(),
            Frame::Alive => inbox.consume(10),
        }
        assert!(received as u64 <= inbox.consumed() + 1000, "no more is taken than was granted");
    }
    assert_eq!(pieces.clear(), received);
}

fn same<T: serde::Serialize + PartialEq + std::fmt::Debug>(
    message: &T,
    parse: impl Fn(&Bytes) -> Result<T, sockerless_agent_wire::FrameError>,
) {
    let Ok(Frame::Control(json)) = Frame::control(message) else { return };
    assert_eq!(parse(&json).as_ref(), Ok(message));
}

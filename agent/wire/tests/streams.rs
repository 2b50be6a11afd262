//! Whatever the line does, a stream arrives whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use sockerless_agent_wire::{Frame, Frames, Inbox, Outbox, Violation};

const STREAM: u32 = 7;

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    Send(usize),
    Deliver,
    Consume(usize),
    Acknowledge,
    DeliverAcknowledgement,
    SwapAcknowledgements,
    /// The line breaks; frames in flight are lost.
    Cut,
    /// The receiver restarts as well: what it had not dealt with is lost.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop_oneof![1usize..8, 1usize..40_000, 16_000usize..20_000].prop_map(Step::Push),
        4 => (1usize..70_000).prop_map(Step::Send),
        4 => Just(Step::Deliver),
        4 => (1usize..70_000).prop_map(Step::Consume),
        3 => Just(Step::Acknowledge),
        3 => Just(Step::DeliverAcknowledgement),
        1 => Just(Step::SwapAcknowledgements),
        1 => Just(Step::Cut),
        1 => Just(Step::Restart),
    ]
}

/// Both ends and the line between them.
struct World {
    outbox: Outbox,
    inbox: Inbox,
    window: u32,
    written: Vec<u8>,
    /// Received, not dealt with.
    waiting: VecDeque<u8>,
    dealt_with: Vec<u8>,
    forth: VecDeque<Bytes>,
    back: VecDeque<(u64, u32)>,
    counter: u32,
}

impl World {
    fn new(window: u32) -> Self {
        let mut world = Self {
            outbox: Outbox::new(0),
            inbox: Inbox::new(0, window),
            window,
            written: vec![],
            waiting: VecDeque::new(),
            dealt_with: vec![],
            forth: VecDeque::new(),
            back: VecDeque::new(),
            counter: 0,
        };
        world.resume();
        world
    }

    fn resume(&mut self) {
        self.forth.clear();
        self.back.clear();
        let position = self.inbox.position(STREAM);
        self.outbox.resume(position.offset, position.credit).unwrap();
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Push(count) => {
                let bytes: Vec<u8> = (0..count)
                    .map(|_| {
                        self.counter = self.counter.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (self.counter >> 24) as u8
                    })
                    .collect();
                self.written.extend(&bytes);
                self.outbox.push(bytes.into());
            }
            Step::Send(most) => {
                let mut message = BytesMut::new();
                if self.outbox.send(STREAM, most, &mut message) {
                    self.forth.push_back(message.freeze());
                }
            }
            Step::Deliver => {
                for frame in self.forth.pop_front().into_iter().flat_map(Frames::new) {
                    match frame.unwrap() {
                        Frame::Data { stream, offset, bytes } => {
                            assert_eq!(stream, STREAM);
                            self.waiting.extend(self.inbox.accept(offset, bytes).unwrap());
                        }
                        Frame::Finish { offset, .. } => self.inbox.finish(offset).unwrap(),
                        other => panic!("{other:?}"),
                    }
                }
            }
            Step::Consume(count) => {
                let count = count.min(self.waiting.len());
                self.dealt_with.extend(self.waiting.drain(..count));
                self.inbox.consume(count);
            }
            Step::Acknowledge => self.back.extend(self.inbox.acknowledgement()),
            Step::DeliverAcknowledgement => {
                if let Some((offset, credit)) = self.back.pop_front() {
                    self.outbox.acknowledge(offset, credit).unwrap();
                }
            }
            Step::SwapAcknowledgements => {
                if self.back.len() > 1 {
                    self.back.swap(0, 1);
                }
            }
            Step::Cut => self.resume(),
            Step::Restart => {
                self.waiting.clear();
                self.inbox = Inbox::new(self.inbox.consumed(), self.window);
                self.resume();
            }
        }
        assert!(self.waiting.len() <= self.window as usize, "the window bounds the receiver's memory");
        assert!(self.outbox.held() >= self.written.len() - self.dealt_with.len());
    }

    fn settle(&mut self) {
        self.outbox.finish();
        self.resume();
        while !(self.outbox.is_empty() && self.inbox.is_finished()) {
            for step in [
                Step::Send(usize::MAX),
                Step::Deliver,
                Step::Consume(usize::MAX),
                Step::Acknowledge,
                Step::DeliverAcknowledgement,
            ] {
                self.step(step);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_sequence_of_cuts_acknowledgements_and_resumptions_loses_doubles_or_reorders_a_byte(
        window in prop_oneof![1u32..64, 1_000u32..100_000],
        steps in prop::collection::vec(step(), 0..200),
    ) {
        // A window of a few bytes takes long to carry much.
        let most = window as usize * 200;
        let mut world = World::new(window);
        for step in steps {
            if !matches!(step, Step::Push(count) if world.written.len() + count > most) {
                world.step(step);
            }
        }
        world.settle();
        prop_assert!(world.dealt_with == world.written);
        prop_assert_eq!(world.outbox.held(), 0);
    }

    #[test]
    fn no_input_makes_the_decoder_panic_or_read_on_after_an_error(input in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut failed = false;
        for frame in Frames::new(input.into()) {
            prop_assert!(!failed);
            failed = frame.is_err();
        }
    }

    #[test]
    fn a_message_of_any_frames_is_read_back(frames in prop::collection::vec(frame(), 0..20)) {
        let mut message = BytesMut::new();
        for frame in &frames {
            frame.encode(&mut message);
        }
        let read: Vec<Frame> = Frames::new(message.freeze()).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(read, frames);
    }

    #[test]
    fn a_cut_message_of_frames_is_an_error_or_a_prefix(frames in prop::collection::vec(frame(), 1..5), cut in any::<prop::sample::Index>()) {
        let mut message = BytesMut::new();
        for frame in &frames {
            frame.encode(&mut message);
        }
        message.truncate(cut.index(message.len()));
        let read: Vec<_> = Frames::new(message.freeze()).filter_map(Result::ok).collect();
        prop_assert!(frames.starts_with(&read));
        prop_assert!(read.len() < frames.len());
    }
}

fn frame() -> impl Strategy<Value = Frame> {
    let bytes = || prop::collection::vec(any::<u8>(), 1..300).prop_map(Bytes::from);
    prop_oneof![
        bytes().prop_map(Frame::Control),
        (any::<u32>(), 0..u64::MAX / 2, bytes()).prop_map(|(stream, offset, bytes)| Frame::Data {
            stream,
            offset,
            bytes
        }),
        (any::<u32>(), any::<u64>()).prop_map(|(stream, offset)| Frame::Finish { stream, offset }),
        (any::<u32>(), any::<u64>(), any::<u32>()).prop_map(|(stream, offset, credit)| Frame::Acknowledge {
            stream,
            offset,
            credit
        }),
        any::<u32>().prop_map(|stream| Frame::Stop { stream }),
        Just(Frame::Alive),
    ]
}

#[test]
fn a_receiver_notices_gaps_overruns_and_bytes_after_the_end() {
    let mut inbox = Inbox::new(10, 5);
    assert_eq!(inbox.accept(11, Bytes::from_static(b"x")), Err(Violation::Gap { expected: 10, offset: 11 }));
    assert_eq!(
        inbox.accept(10, Bytes::from_static(b"123456")),
        Err(Violation::Overrun { end: 16, allowed: 15 })
    );
    assert_eq!(inbox.accept(8, Bytes::from_static(b"89abc")).unwrap(), "abc");
    assert_eq!(inbox.finish(12), Err(Violation::Ended { end: 13, offset: 12 }));
    inbox.finish(13).unwrap();
    inbox.finish(13).unwrap();
    assert_eq!(inbox.accept(13, Bytes::from_static(b"d")), Err(Violation::Ended { end: 13, offset: 14 }));
}

#[test]
fn a_sender_refuses_acknowledgements_of_what_it_never_sent_and_requests_for_what_is_gone() {
    let mut outbox = Outbox::new(100);
    outbox.push(Bytes::from_static(b"hello"));
    outbox.resume(100, 3).unwrap();
    let mut message = BytesMut::new();
    assert!(outbox.send(STREAM, usize::MAX, &mut message));
    assert!(!outbox.send(STREAM, usize::MAX, &mut message), "the credit is spent");
    assert_eq!(outbox.acknowledge(104, 0), Err(Violation::Unsent { offset: 104, sent: 103 }));
    outbox.acknowledge(102, 1).unwrap();
    assert_eq!(outbox.resume(101, 9), Err(Violation::Forgotten { offset: 101, acknowledged: 102 }));
    assert_eq!(outbox.resume(106, 9), Err(Violation::Unsent { offset: 106, sent: 105 }));
    // The peer got more than it could acknowledge.
    outbox.resume(104, 9).unwrap();
    outbox.resume(102, 9).unwrap();
    assert_eq!(outbox.end(), 105);
    outbox.stop();
    assert!(outbox.is_empty());
}

#[test]
fn bytes_written_one_by_one_do_not_cost_a_buffer_each() {
    let mut outbox = Outbox::new(0);
    for _ in 0..1_000_000 {
        outbox.push(Bytes::from_static(b"x"));
    }
    assert!(outbox.held() < 1_100_000);
}

//! Many streams on one line: whatever it does, each arrives whole, and none waits for another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use sockerless_agent_wire::{Frame, Frames, Inbox, Outbox, Pieces, Turns, streams};

const WINDOW: u32 = 5_000;
const MESSAGE: usize = 3_000;
const SHARE: usize = 500;

#[derive(Debug, Clone)]
enum Step {
    /// A channel is opened.
    Open,
    /// One of them has more to say.
    Push(usize, usize),
    /// … has no more to say.
    Finish(usize),
    Send,
    Deliver,
    /// What was read of one channel was dealt with.
    Read(usize),
    Acknowledge,
    /// The receiver wants no more of one.
    Close(usize),
    Cut,
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<usize>;
    prop_oneof![
        1 => Just(Step::Open),
        6 => (any(), 1usize..8_000).prop_map(|(which, count)| Step::Push(which, count)),
        1 => any().prop_map(Step::Finish),
        6 => Just(Step::Send),
        6 => Just(Step::Deliver),
        6 => any().prop_map(Step::Read),
        4 => Just(Step::Acknowledge),
        1 => any().prop_map(Step::Close),
        1 => Just(Step::Cut),
    ]
}

struct Channel {
    outbox: Outbox,
    inbox: Inbox,
    waiting: Pieces<()>,
    written: Vec<u8>,
    read: Vec<u8>,
    /// Messages that went by while it had something that could be sent.
    passed_over: usize,
}

#[derive(Default)]
struct World {
    open: BTreeMap<u32, Channel>,
    newest: u32,
    turns: Turns,
    forth: VecDeque<Bytes>,
    back: VecDeque<(u32, u64, u32)>,
    counter: u8,
}

impl World {
    fn pick(&mut self, which: usize) -> Option<(u32, &mut Channel)> {
        let count = self.open.len();
        if count == 0 {
            return None;
        }
        self.open.iter_mut().nth(which % count).map(|(number, channel)| (*number, channel))
    }

    fn stream(number: u32) -> u32 {
        streams::of(number, streams::OUTPUT)
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Open => {
                self.newest += 1;
                let mut outbox = Outbox::new(0);
                outbox.resume(0, WINDOW).unwrap();
                let channel = Channel {
                    outbox,
                    inbox: Inbox::new(0, WINDOW),
                    waiting: Pieces::default(),
                    written: vec![],
                    read: vec![],
                    passed_over: 0,
                };
                self.open.insert(self.newest, channel);
            }
            Step::Push(which, count) => {
                self.counter = self.counter.wrapping_add(1);
                let bytes: Vec<u8> = (0..count).map(|i| (i as u8).wrapping_mul(31) ^ self.counter).collect();
                if let Some((number, channel)) = self.pick(which)
                    && !channel.outbox.is_finished()
                {
                    channel.written.extend(&bytes);
                    channel.outbox.push(bytes.into());
                    if channel.outbox.is_ready() {
                        self.turns.add(Self::stream(number));
                    }
                }
            }
            Step::Finish(which) => {
                if let Some((number, channel)) = self.pick(which) {
                    channel.outbox.finish();
                    if channel.outbox.is_ready() {
                        self.turns.add(Self::stream(number));
                    }
                }
            }
            Step::Send => self.send(),
            Step::Deliver => {
                for frame in self.forth.pop_front().into_iter().flat_map(Frames::new) {
                    self.take(frame.unwrap());
                }
            }
            Step::Read(which) => {
                if let Some((number, channel)) = self.pick(which)
                    && let Some(((), bytes)) = channel.waiting.pop()
                {
                    channel.read.extend_from_slice(&bytes);
                    channel.inbox.consume(bytes.len());
                    let acknowledgement = channel.inbox.acknowledgement();
                    self.back.extend(acknowledgement.map(|(offset, credit)| (number, offset, credit)));
                }
            }
            Step::Acknowledge => {
                if let Some((number, offset, credit)) = self.back.pop_front()
                    && let Some(channel) = self.open.get_mut(&number)
                {
                    channel.outbox.acknowledge(offset, credit).unwrap();
                    if channel.outbox.is_ready() {
                        self.turns.add(Self::stream(number));
                    }
                }
            }
            Step::Close(which) => {
                if let Some((number, channel)) = self.pick(which) {
                    assert!(channel.written.starts_with(&channel.read));
                    self.open.remove(&number);
                }
            }
            Step::Cut => {
                self.forth.clear();
                self.back.clear();
                self.turns.clear();
                for (number, channel) in &mut self.open {
                    let position = channel.inbox.position(Self::stream(*number));
                    channel.outbox.resume(position.offset, position.credit).unwrap();
                    let acknowledgement = channel.inbox.acknowledgement();
                    self.back.extend(acknowledgement.map(|(offset, credit)| (*number, offset, credit)));
                    if channel.outbox.is_ready() {
                        self.turns.add(Self::stream(*number));
                    }
                }
            }
        }
    }

    /// One message, as both ends of the real line make it.
    fn send(&mut self) {
        let mut message = BytesMut::new();
        while let left @ 1.. = MESSAGE.saturating_sub(message.len())
            && let Some(stream) = self.turns.take()
        {
            let most = if self.turns.is_empty() { left } else { left.min(SHARE) };
            let (number, _) = streams::split(stream);
            let Some(channel) = self.open.get_mut(&number) else { continue };
            channel.outbox.send(stream, most, &mut message);
            channel.passed_over = 0;
            if channel.outbox.is_ready() {
                self.turns.add(stream);
            }
        }
        let count = self.open.len();
        for (number, channel) in &mut self.open {
            let ready = channel.outbox.is_ready();
            assert_eq!(ready, self.turns.iter().any(|stream| stream == Self::stream(*number)));
            channel.passed_over = if ready { channel.passed_over + 1 } else { 0 };
            // Each message serves at least one, and nobody twice before all others.
            assert!(channel.passed_over <= count, "channel {number} waits for ever");
        }
        if !message.is_empty() {
            self.forth.push_back(message.freeze());
        }
    }

    fn take(&mut self, frame: Frame) {
        let (Frame::Data { stream, .. } | Frame::Finish { stream, .. }) = &frame else { panic!("{frame:?}") };
        // What comes for a closed channel means nothing.
        let Some(channel) = self.open.get_mut(&streams::split(*stream).0) else { return };
        match frame {
            Frame::Data { offset, bytes, .. } => {
                channel.waiting.push((), channel.inbox.accept(offset, bytes).unwrap());
            }
            Frame::Finish { offset, .. } => channel.inbox.finish(offset).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn every_stream_of_many_arrives_whole_and_none_starves(steps in prop::collection::vec(step(), 0..400)) {
        let mut world = World::default();
        world.step(Step::Open);
        for step in steps {
            world.step(step);
        }
        world.step(Step::Cut);
        for (number, channel) in &mut world.open {
            channel.outbox.finish();
            if channel.outbox.is_ready() {
                world.turns.add(World::stream(*number));
            }
        }
        while world.open.values().any(|channel| !channel.inbox.is_finished() || channel.read != channel.written) {
            world.step(Step::Send);
            world.step(Step::Deliver);
            for index in 0..world.open.len() {
                world.step(Step::Read(index));
            }
            while !world.back.is_empty() {
                world.step(Step::Acknowledge);
            }
        }
    }
}

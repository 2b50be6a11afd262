//! The log answers as the naive model does, whatever is written and asked.

use std::{cell::Cell, sync::atomic::AtomicU64, time::SystemTime};

use futures_util::TryStreamExt;
use proptest::prelude::*;

use super::model::{Answer, Entry, Model, joined};
use crate::logs::{
    log::{nanos, system_time},
    *,
};

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// Small numbers, so that few bytes reach every border; a clock that the test sets.
fn small() -> Shape {
    Shape {
        clock: || NOW.get(),
        index_every: 100,
        block: 70,
        max_line: 1 << 20,
        stale: 2,
        counter: Arc::<AtomicU64>::default(),
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append(Output, Vec<u8>),
    Late(Output, Vec<u8>),
    Finish,
    Begin,
    Reopen,
    Tick(i8),
    Ask(Ask),
}

#[derive(Debug, Clone)]
struct Ask {
    stdout: bool,
    stderr: bool,
    since: Option<usize>,
    until: Option<usize>,
    tail: Option<u64>,
    from: Option<usize>,
    lines: bool,
}

fn output() -> impl Strategy<Value = Output> {
    prop_oneof![Just(Output::Stdout), Just(Output::Stderr)]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'a'), Just(b'b')], 1..12),
        1 => prop::collection::vec(prop_oneof![1 => Just(b'\n'), 40 => Just(b'x')], 50..300),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    let place = || prop::option::of(0_usize..40);
    (any::<bool>(), any::<bool>(), place(), place(), prop::option::of(0_u64..12), place(), any::<bool>())
        .prop_map(|(stdout, stderr, since, until, tail, from, lines)| Ask {
            stdout,
            stderr,
            since,
            until,
            tail,
            from,
            lines,
        })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (output(), text()).prop_map(|(o, b)| Step::Append(o, b)),
        1 => (output(), text()).prop_map(|(o, b)| Step::Late(o, b)),
        1 => Just(Step::Finish),
        1 => Just(Step::Begin),
        1 => Just(Step::Reopen),
        3 => (-2_i8..5).prop_map(Step::Tick),
        8 => ask().prop_map(Step::Ask),
    ]
}

struct Bench {
    logs: Arc<ContainerLogs>,
    bounds: Option<Bounds>,
    model: Model,
    generation: u32,
    live: bool,
}

impl Bench {
    fn run(&self) -> RunId {
        RunId { container: "c".into(), generation: self.generation }
    }

    async fn note(&mut self, generation: u32, output: Option<usize>, bytes: Vec<u8>, position: u64) {
        let time = NOW.get().max(self.model.entries.last().map_or(0, |e| e.time));
        self.model.entries.push(Entry { time, generation, output, bytes, position });
    }

    async fn end(&self) -> u64 {
        self.logs.end("c").await.unwrap().0
    }

    async fn floor(&self) -> u64 {
        self.logs.log("c").await.unwrap().files.floor()
    }

    async fn append(&mut self, generation: u32, output: Output, bytes: Vec<u8>) {
        let place = self.end().await;
        let run = RunId { generation, ..self.run() };
        self.logs.append(&run, output, bytes.clone().into()).await.unwrap();
        self.note(generation, Some(number(output)), bytes, place).await;
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Append(output, bytes) => self.append(self.generation, output, bytes).await,
            Step::Late(output, bytes) => {
                self.append(self.generation.saturating_sub(1).max(1), output, bytes).await
            }
            Step::Finish => {
                let place = self.end().await;
                self.logs.finish(&self.run()).await.unwrap();
                if self.end().await > place {
                    self.note(self.generation, None, vec![], place).await;
                }
                self.live = false;
            }
            Step::Begin => {
                let place = self.end().await;
                let before = self.generation;
                self.generation += 1;
                self.logs.begin(&self.run(), self.bounds).await.unwrap();
                if self.live {
                    self.note(before, None, vec![], place).await;
                }
                self.note(self.generation, None, vec![], place).await;
                self.live = true;
            }
            Step::Reopen => {
                let folder = self.logs.root.clone();
                self.logs = ContainerLogs::with_shape(folder, small());
                if self.live {
                    self.logs.begin(&self.run(), self.bounds).await.unwrap();
                }
            }
            Step::Tick(by) => NOW.set(NOW.get().saturating_add_signed(by.into())),
            Step::Ask(ask) => self.ask(&ask).await,
        }
        for generation in 1..=self.generation {
            for output in [Output::Stdout, Output::Stderr] {
                let kept = self.logs.length(&RunId { generation, ..self.run() }, output).await.unwrap();
                assert_eq!(kept, self.model.kept(generation, number(output)));
            }
        }
    }

    async fn ask(&self, ask: &Ask) {
        let entries = &self.model.entries;
        let time = |at: usize| entries.get(at).map(|e| system_time(e.time));
        let floor = self.floor().await;
        let query = LogQuery {
            stdout: ask.stdout,
            stderr: ask.stderr,
            since: ask.since.and_then(time),
            until: ask.until.and_then(time),
            tail: ask.tail,
            from: ask.from.and_then(|at| entries.get(at)).map(|e| Position(e.position)),
            lines: ask.lines,
            ..LogQuery::default()
        };
        let got = collect(&self.logs, query.clone()).await;
        let got = if query.lines { got } else { joined(got) };
        let expected = self.model.answer(&query, floor);
        assert_eq!(show(&got), show(&expected), "{query:?} from {floor} on");
    }
}

async fn collect(logs: &ContainerLogs, query: LogQuery) -> Answer {
    let stream = logs.read("c", query).await.unwrap();
    stream.map_ok(|c| (c.output, nanos(c.time), c.bytes.to_vec())).try_collect().await.unwrap()
}

fn show(answer: &Answer) -> Vec<(Output, u64, String)> {
    answer.iter().map(|(o, t, b)| (*o, *t, String::from_utf8_lossy(b).into_owned())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_query_is_answered_as_by_the_naive_model(
        steps in prop::collection::vec(step(), 1..60),
        bounds in prop::option::of((50_u64..600, 1_usize..4)),
    ) {
        let bounds = bounds.map(|(file_bytes, files)| Bounds { file_bytes, files });
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            NOW.set(nanos(SystemTime::UNIX_EPOCH) + 1000);
            let logs = ContainerLogs::with_shape(folder.path().into(), small());
            let mut bench = Bench { logs, bounds, model: Model::default(), generation: 1, live: false };
            for step in steps {
                bench.step(step).await;
            }
        });
    }
}

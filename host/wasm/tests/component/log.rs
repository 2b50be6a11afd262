//! What a guest writes ends in the daemon's log, and says whose it is.

use std::{
    io,
    sync::{Arc, Mutex},
};

use sockerless_wasm::Limits;
use tracing::Level;

use crate::fixture::{Fixture, command};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Catches what this thread logs, until the guard is dropped.
    fn catch(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn lines(&self, part: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_line_of_a_guest_names_plugin_and_call() {
    let plugin = Fixture::new().load(&[]).await.unwrap();
    let log = Log::default();
    let _caught = log.catch();
    command(&plugin, "log something").await.unwrap();
    command(&plugin, "trap").await.unwrap_err();
    let written = log.lines("something");
    assert_eq!(written.len(), 2, "{written:?}");
    assert!(
        written[0].contains(" INFO ")
            && written[0].contains("something plugin=\"probe\" call=\"storage.get\"")
    );
    assert!(written[1].contains("stdout: printed something"), "{written:?}");
    assert_eq!(log.lines("stderr: as you wish").len(), 1);
}

#[tokio::test]
async fn a_talkative_call_is_cut_off_and_that_is_said_once() {
    let limits = Limits { log_lines: 1, ..Limits::default() };
    let plugin = Fixture::with_limits(limits).load(&[]).await.unwrap();
    let log = Log::default();
    let _caught = log.catch();
    command(&plugin, "log something").await.unwrap();
    assert_eq!(log.lines("something").len(), 1);
    assert_eq!(log.lines("more than 1 lines of log").len(), 1);
}

//! A copy of the output for the cloud's own log, which may be slow: the process never waits for it.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::tuning;

/// One output's way to the log. Writes happen on a thread of their own, since the log may block.
#[derive(Clone)]
pub struct Tee(Arc<Queue>);

struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    items: VecDeque<Item>,
    /// Bytes in `items`.
    held: usize,
    /// Bytes that did not fit, since the last that did.
    left_out: u64,
    writing: bool,
    /// No more comes; the thread ends when it has written all.
    closed: bool,
    broken: bool,
}

enum Item {
    Bytes(Bytes),
    LeftOut(u64),
}

impl Tee {
    /// To the agent's own standard output or error.
    pub fn new(to: impl AsFd) -> io::Result<Self> {
        let file = File::from(to.as_fd().try_clone_to_owned()? as OwnedFd);
        let queue = Arc::new(Queue { waiting: Mutex::default(), changed: Condvar::new() });
        let writer = Arc::clone(&queue);
        thread::Builder::new()
            .name("log".to_owned())
            .stack_size(64 << 10)
            .spawn(move || writer.write(file))?;
        Ok(Self(queue))
    }

    /// Takes a piece if there is room; else it is left out, and the log will say so.
    pub fn offer(&self, bytes: &Bytes) {
        let mut waiting = self.0.lock();
        if waiting.broken || waiting.closed {
            return;
        }
        if waiting.held + bytes.len() > tuning::TEE {
            waiting.left_out += bytes.len() as u64;
            return;
        }
        waiting.note_left_out();
        waiting.held += bytes.len();
        waiting.items.push_back(Item::Bytes(bytes.clone()));
        if !waiting.writing {
            drop(waiting);
            self.0.changed.notify_all();
        }
    }

    /// Takes no more, and waits until the log has everything, but not for long. Blocks.
    pub fn finish(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut waiting = self.0.lock();
        waiting.note_left_out();
        waiting.closed = true;
        self.0.changed.notify_all();
        while !(waiting.broken || waiting.items.is_empty() && !waiting.writing) {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return };
            waiting = self.0.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Waiting {
    fn note_left_out(&mut self) {
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            self.items.push_back(Item::LeftOut(left_out));
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, mut file: File) {
        let mut waiting = self.lock();
        loop {
            if waiting.items.is_empty() {
                waiting.writing = false;
                self.changed.notify_all();
                if waiting.closed {
                    return;
                }
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            waiting.writing = true;
            let items = std::mem::take(&mut waiting.items);
            drop(waiting);
            for item in items {
                if self.write_item(&mut file, item).is_err() {
                    // There is nobody to tell: the log itself is gone.
                    let mut waiting = self.lock();
                    waiting.broken = true;
                    waiting.items.clear();
                    return self.changed.notify_all();
                }
            }
            waiting = self.lock();
            if !waiting.closed {
                // Whoever writes much is not to wake this thread for each piece.
                let pause = self.changed.wait_timeout(waiting, tuning::TEE_PAUSE);
                waiting = pause.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    fn write_item(&self, file: &mut File, item: Item) -> io::Result<()> {
        match item {
            Item::Bytes(bytes) => {
                let written = write_all(file, &bytes);
                self.lock().held -= bytes.len();
                written
            }
            Item::LeftOut(count) => {
                let line = format!("\n[sockerless: {count} bytes left out here, the log was too slow]\n");
                write_all(file, line.as_bytes())
            }
        }
    }
}

fn write_all(file: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(tuning::TEE_RETRY),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_slow_log_is_told_how_much_it_missed_and_gets_the_rest_in_order() {
        let (mut reader, writer) = io::pipe().unwrap();
        let tee = Tee::new(&writer).unwrap();
        drop(writer);
        let piece = Bytes::from(vec![b'x'; 64 << 10]);
        // Nobody reads yet: the pipe takes one piece, the queue a mebibyte.
        for _ in 0..100 {
            tee.offer(&piece);
        }
        let reading = thread::spawn(move || {
            let mut log = Vec::new();
            reader.read_to_end(&mut log).unwrap();
            log
        });
        tee.finish(Duration::from_secs(60));
        tee.offer(&Bytes::from_static(b"too late"));
        let log = reading.join().unwrap();
        let kept = log.iter().take_while(|byte| **byte == b'x').count();
        assert!(kept >= tuning::TEE, "{kept}");
        let missed = 100 * piece.len() - kept;
        let line = format!("\n[sockerless: {missed} bytes left out here, the log was too slow]\n");
        assert_eq!(String::from_utf8_lossy(&log[kept..]), line);
    }

    #[test]
    fn a_log_that_is_gone_holds_up_nobody() {
        let (reader, writer) = io::pipe().unwrap();
        let tee = Tee::new(&writer).unwrap();
        drop(reader);
        for _ in 0..100 {
            tee.offer(&Bytes::from(vec![b'x'; 64 << 10]));
        }
        tee.finish(Duration::from_secs(60));
        assert!(tee.0.lock().broken, "the time was waited for");
    }
}

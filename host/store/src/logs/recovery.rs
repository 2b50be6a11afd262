//! Opening a log: what the index says, and a scan of the little that it does not cover.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use super::{
    fault::Fault,
    format::{self, HEADER, Header, Kind},
    index::{self, Index, Runs},
    records::Records,
    state::State,
};

/// All that is known of a log.
#[derive(Debug, Default)]
pub struct Known {
    /// At its end.
    pub state: State,
    /// Bytes of each output of each run.
    pub runs: Runs,
    /// Places in it.
    pub index: Index,
}

impl Known {
    /// Goes past a record, counting its bytes.
    pub fn pass(&mut self, header: &Header, bytes: &[u8]) {
        self.state.pass(header, bytes);
        let kept = self.runs.entry(header.generation).or_default();
        if let Kind::Output(output) = header.kind {
            kept[output] = header.offset + u64::from(header.length);
        }
    }

    /// Bytes of the last record's run, for an index entry.
    pub fn kept(&self) -> [u64; 2] {
        self.runs.get(&self.state.generation).copied().unwrap_or_default()
    }

    /// Whether an entry has to stand before this record: one every so many bytes, and one for
    /// each run so that its bytes are known for ever.
    pub fn wants_entry(&self, header: &Header, every: u64) -> bool {
        let since = self.state.position - self.index.last().map_or(0, |entry| entry.position);
        since > 0 && (since >= every || header.generation != self.state.generation)
    }
}

/// Reads what is known of the log in a directory. Cuts off a record that a crash left unfinished,
/// and completes the index.
pub fn open(directory: &Path, every: u64, block: usize, counter: &Arc<AtomicU64>) -> Result<Known, Fault> {
    let path = directory.join(format::FIRST_FILE);
    let file = match OpenOptions::new().read(true).write(true).open(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Known::default()),
        other => other?,
    };
    let length = file.metadata()?.len();
    let index_path = directory.join(index::FILE);
    let (index, runs, good) = Index::load(&index_path, length)?;
    let sidecar = OpenOptions::new().append(true).create(true).open(&index_path)?;
    if sidecar.metadata()?.len() != good {
        sidecar.set_len(good)?;
    }

    let mut known = Known { state: index.last().copied().unwrap_or_default(), runs, index };
    let file = Arc::new(file);
    let mut records =
        Records::new(Arc::clone(&file), known.state.position, length, [true; 2], block, Arc::clone(counter));
    loop {
        let place = records.at();
        match records.next() {
            Ok(None) => return Ok(known),
            Ok(Some((_, header, bytes))) => {
                if known.wants_entry(&header, every) {
                    index::append(&sidecar, &known.state, known.kept())?;
                    known.index.push(known.state);
                }
                known.pass(&header, &bytes);
            }
            Err(Fault::Damaged(_, what)) => {
                if !torn(&file, place, length)? {
                    return Err(Fault::Damaged(place, what));
                }
                tracing::warn!(log = %path.display(), from = place, bytes = length - place,
                    "cutting off a record that was being written when the daemon or the machine died");
                file.set_len(place)?;
                return Ok(known);
            }
            Err(fault) => return Err(fault),
        }
    }
}

/// Whether what stands from `at` to the end is the beginning of one record (the process died), or
/// nothing but zeros (the machine did).
fn torn(mut file: &File, at: u64, length: u64) -> io::Result<bool> {
    file.seek(SeekFrom::Start(at))?;
    let mut header = [0; HEADER];
    if length - at < HEADER as u64 {
        return Ok(true);
    }
    file.read_exact(&mut header)?;
    if let Ok(header) = Header::decode(&header) {
        return Ok(header.size() > length - at);
    }
    let mut zero = header.iter().all(|byte| *byte == 0);
    let mut buffer = vec![0; 64 << 10];
    while zero {
        match file.read(&mut buffer)? {
            0 => return Ok(true),
            n => zero = buffer[..n].iter().all(|byte| *byte == 0),
        }
    }
    Ok(false)
}

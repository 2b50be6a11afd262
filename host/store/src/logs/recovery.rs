//! Opening a log: what the index says, and a scan of the little that it does not cover.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    sync::{Arc, atomic::AtomicU64},
};

use super::{
    fault::Fault,
    files::Files,
    format::{HEADER, Header, Kind},
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
pub fn open(files: &Arc<Files>, every: u64, block: usize, counter: &Arc<AtomicU64>) -> Result<Known, Fault> {
    let Some((floor, last)) = whole(files)? else { return Ok(Known::default()) };
    let path = files.path(last);
    let file = OpenOptions::new().read(true).write(true).open(&path)?;
    let end = last + file.metadata()?.len();
    let index_path = files.directory().join(index::FILE);
    let (index, runs, good) = Index::load(&index_path, floor, end)?;
    let sidecar = OpenOptions::new().append(true).create(true).open(&index_path)?;
    if sidecar.metadata()?.len() != good {
        sidecar.set_len(good)?;
    }

    let state = index.last().copied().unwrap_or_else(|| index.at(floor));
    let mut known = Known { state, runs, index };
    let mut records =
        Records::new(Arc::clone(files), known.state.position, end, [true; 2], block, Arc::clone(counter));
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
                if place < last || !torn(&file, place - last, end - last)? {
                    return Err(Fault::Damaged(place, what));
                }
                tracing::warn!(log = %path.display(), from = place, bytes = end - place,
                    "cutting off a record that was being written when the daemon or the machine died");
                file.set_len(place - last)?;
                return Ok(known);
            }
            Err(fault) => return Err(fault),
        }
    }
}

/// The first and the last of the files that belong together without a gap: a power cut may have taken the end of one that
/// was full, and with what it held goes all that is older.
fn whole(files: &Files) -> io::Result<Option<(u64, u64)>> {
    let starts = files.discover()?;
    let Some(last) = starts.last().copied() else { return Ok(None) };
    let mut floor = last;
    for pair in starts.windows(2).rev() {
        if pair[0] + fs::metadata(files.path(pair[0]))?.len() != pair[1] {
            tracing::warn!(log = %files.path(pair[0]).display(), "dropping a part of a log that a power cut left incomplete");
            files.drop_oldest(starts.iter().filter(|start| **start >= pair[1]).count(), u64::MAX)?;
            break;
        }
        floor = pair[0];
    }
    Ok(Some((floor, last)))
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

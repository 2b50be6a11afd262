//! Files that are seen whole or not at all.

use std::hash::{BuildHasher, RandomState};

use sockerless_plugin_sdk::{Level, Method, Request, Response, Result};

use super::{files::Files, xml};
use crate::limits;

impl Files<'_> {
    /// Writes a file under another name and gives it its own when it is whole: its size is there before its content. That
    /// name is of this writing alone, since another daemon may write the same file now. What such writings left that were cut
    /// off long ago is removed.
    pub fn write(&self, path: &str, content: &[u8]) -> Result<Response> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let inside =
            |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        let now = self.plugin.host.now();
        let part = inside(&part_name(name, now));
        let create = self
            .request(Method::Put, self.url(&part))
            .header("x-ms-type", "file")
            .header("x-ms-content-length", content.len().to_string());
        let answer = self.send(&create)?;
        if !answer.is_success() {
            return Ok(answer);
        }
        self.sweep(&inside, folder, name, now);
        let ranges: Vec<Request> = content
            .chunks(limits::RANGE_BYTES)
            .enumerate()
            .map(|(index, range)| {
                let from = index * limits::RANGE_BYTES;
                self.request(Method::Put, self.url(&part))
                    .query("comp", "range")
                    .header("x-ms-write", "update")
                    .header("x-ms-range", format!("bytes={from}-{}", from + range.len() - 1))
                    .body("application/octet-stream", range.to_vec())
            })
            .collect();
        let written = self.send_all(&ranges)?;
        if let Some(refused) = written.into_iter().find(|answer| !answer.is_success()) {
            self.discard(&part);
            return Ok(refused);
        }
        let rename = self
            .request(Method::Put, self.url(path))
            .query("comp", "rename")
            .header("x-ms-file-rename-source", self.url(&part))
            .header("x-ms-file-rename-replace-if-exists", "true");
        let answer = self.send(&rename)?;
        // A renaming whose answer was lost on the way is sent again below us, and finds its source gone.
        if answer.status == 404 {
            let there = self.send(&self.request(Method::Head, self.url(path)))?;
            let size = there.header("content-length").and_then(|size| size.parse().ok());
            if there.is_success() && size == Some(content.len()) {
                return Ok(there);
            }
        }
        if !answer.is_success() {
            self.discard(&part);
        }
        Ok(answer)
    }

    /// Removes what was left of a writing that failed; that this fails too is no error of the writing's.
    fn discard(&self, part: &str) {
        let gone = self
            .send(&self.request(Method::Delete, self.url(part)))
            .is_ok_and(|answer| answer.is_success() || answer.status == 404);
        if !gone {
            let left = format!("{part}, the rest of a file that could not be written, stays in the share");
            self.plugin.host.log(Level::Warn, &left);
        }
    }

    /// Removes the parts of a file that nobody writes any more. That it fails is no error of the writing's: the next one
    /// comes to it again.
    fn sweep(&self, inside: &impl Fn(&str) -> String, folder: &str, name: &str, now: u64) {
        let request = self
            .request(Method::Get, self.url(folder))
            .query("restype", "directory")
            .query("comp", "list")
            .query("prefix", &format!(".{name}."));
        let listed = self.send(&request).and_then(|answer| {
            self.check("looking for parts of files", &answer)?;
            Ok(xml::folder(&String::from_utf8_lossy(&answer.body)).0)
        });
        match listed {
            Ok(found) => found
                .files
                .iter()
                .filter(|(part, _)| is_stale(part, name, now))
                .for_each(|(part, _)| self.discard(&inside(part))),
            Err(error) => self.plugin.host.log(Level::Warn, &error.message),
        }
    }
}

/// The name of a file while it is written: with the second at which that began, and a number that no other writer has. The
/// standard library's hashers are seeded by the system, of which a component has no other way to ask.
fn part_name(name: &str, now: u64) -> String {
    format!(".{name}.{:x}-{:016x}.part", now / 1000, RandomState::new().hash_one(()))
}

/// Whether a file is a part of one of this name, and of a writing that cannot go on any more.
fn is_stale(part: &str, name: &str, now: u64) -> bool {
    let middle = part.strip_prefix('.').and_then(|part| part.strip_prefix(name)?.strip_prefix('.'));
    let began = middle.and_then(|middle| middle.strip_suffix(".part")?.split_once('-'));
    let began = began.and_then(|(began, _)| u64::from_str_radix(began, 16).ok());
    began.is_some_and(|began| now / 1000 > began.saturating_add(limits::PART_SECONDS))
}

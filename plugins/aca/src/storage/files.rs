//! The Files data plane of the storage account (<https://learn.microsoft.com/rest/api/storageservices/file-service-rest-api>).

use sockerless_plugin_sdk::{Error, ErrorCode, Method, Request, Response, Result, url};

use super::xml;
use crate::{ContainerApps, limits};

/// The version of the data plane that is spoken.
const VERSION: &str = "2024-11-04";

/// What a folder holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    /// Names of folders in it.
    pub folders: Vec<String>,
    /// Names and sizes of files in it.
    pub files: Vec<(String, u64)>,
}

/// A share, and the way to it.
pub struct Files<'a> {
    pub(super) plugin: &'a ContainerApps,
    share: &'a str,
}

impl ContainerApps {
    /// A share's files.
    pub fn files<'a>(&'a self, share: &'a str) -> Files<'a> {
        Files { plugin: self, share }
    }
}

impl Files<'_> {
    /// The address of a file or folder; of the share's root when the path is empty.
    pub fn url(&self, path: &str) -> String {
        let base = format!("{}/{}", self.plugin.config.files, self.share);
        if path.is_empty() { base } else { format!("{base}/{}", url::encode_path(path)) }
    }

    /// A request, not yet signed.
    pub fn request(&self, method: Method, url: String) -> Request {
        let request = Request::new(method, url)
            .header("x-ms-version", VERSION)
            .credential(self.plugin.config.files_credential());
        // What the account's key may do anyway, an identity has to ask for.
        if self.plugin.config.by_identity {
            request.header("x-ms-file-request-intent", "backup")
        } else {
            request
        }
    }

    /// Sends a request.
    pub fn send(&self, request: &Request) -> Result<Response> {
        Ok(self.plugin.host.send(request)?)
    }

    /// Sends requests at the same time, and fails with the first that had no answer.
    pub fn send_all(&self, requests: &[Request]) -> Result<Vec<Response>> {
        self.plugin.host.send_all(requests).into_iter().map(|answer| Ok(answer?)).collect()
    }

    /// Fails unless the answer is a success.
    pub fn check(&self, doing: &str, answer: &Response) -> Result<()> {
        if answer.is_success() { Ok(()) } else { Err(error(doing, answer, self.plugin.host.now())) }
    }

    /// Makes a folder with all above it; those that are there are none the worse for it.
    pub fn make_folder(&self, path: &str, metadata: &[(&str, String)], doing: &str) -> Result<()> {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends.filter(|end| *end > 0) {
            let mut request = self.request(Method::Put, self.url(&path[..end])).query("restype", "directory");
            if end == path.len() {
                for (name, value) in metadata {
                    request = request.header(&format!("x-ms-meta-{name}"), value.clone());
                }
            }
            let answer = self.send(&request)?;
            if answer.status != 409 {
                self.check(doing, &answer)?;
            } else if code(&answer) != "ResourceAlreadyExists" {
                return Err(error(doing, &answer, self.plugin.host.now()));
            }
        }
        Ok(())
    }

    /// What is in a folder. None when it, or the share, is not there.
    pub fn list(&self, path: &str, pages: &mut usize, doing: &str) -> Result<Option<Folder>> {
        let mut all = Folder::default();
        let mut marker = String::new();
        loop {
            if *pages == 0 {
                return Err(Error::new(
                    ErrorCode::Unsupported,
                    format!(
                        "{doing}: more than {} folders and pages; the Azure portal shows it",
                        limits::FOLDER_PAGES
                    ),
                ));
            }
            *pages -= 1;
            let request = self
                .request(Method::Get, self.url(path))
                .query("restype", "directory")
                .query("comp", "list")
                .query("maxresults", &limits::ENTRIES_PER_PAGE.to_string())
                .query_opt("marker", Some(marker.as_str()).filter(|marker| !marker.is_empty()));
            let answer = self.send(&request)?;
            if answer.status == 404 {
                return Ok(None);
            }
            self.check(doing, &answer)?;
            let (page, next) = xml::folder(&String::from_utf8_lossy(&answer.body));
            all.folders.extend(page.folders);
            all.files.extend(page.files);
            match next {
                Some(next) => marker = next,
                None => return Ok(Some(all)),
            }
        }
    }

    /// All files below a folder, with their sizes and paths from the share's root. None when the folder is not there.
    pub fn below(&self, path: &str, doing: &str) -> Result<Option<Vec<(String, u64)>>> {
        let mut pages = limits::FOLDER_PAGES;
        let mut files = Vec::new();
        let mut open = vec![path.to_owned()];
        let mut first = true;
        while let Some(folder) = open.pop() {
            let Some(found) = self.list(&folder, &mut pages, doing)? else {
                if first {
                    return Ok(None);
                }
                continue;
            };
            first = false;
            let inside =
                |name: &String| if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            open.extend(found.folders.iter().map(inside));
            files.extend(found.files.iter().map(|(name, size)| (inside(name), *size)));
        }
        files.sort();
        Ok(Some(files))
    }

    /// Deletes a folder with all that is in it, as far as one call can; the host comes again for the rest.
    pub fn remove(&self, path: &str, doing: &str) -> Result<()> {
        let mut left = limits::REMOVE_ENTRIES;
        if self.empty(path, &mut left, doing)? {
            return Ok(());
        }
        Err(Error::not_ready(format!("{doing}: it has more files than one call can delete"), 0))
    }

    /// Whether the folder is gone.
    fn empty(&self, path: &str, left: &mut usize, doing: &str) -> Result<bool> {
        let mut pages = limits::FOLDER_PAGES;
        let Some(found) = self.list(path, &mut pages, doing)? else { return Ok(true) };
        let many = found.files.len() > *left;
        let files: Vec<Request> = found
            .files
            .iter()
            .take(*left)
            .map(|(name, _)| self.request(Method::Delete, self.url(&format!("{path}/{name}"))))
            .collect();
        *left -= files.len();
        for answer in self.send_all(&files)? {
            if answer.status != 404 {
                self.check(doing, &answer)?;
            }
        }
        if many {
            return Ok(false);
        }
        for name in &found.folders {
            if *left == 0 || !self.empty(&format!("{path}/{name}"), left, doing)? {
                return Ok(false);
            }
        }
        *left = left.saturating_sub(1);
        let answer =
            self.send(&self.request(Method::Delete, self.url(path)).query("restype", "directory"))?;
        // Somebody has written in between: the next call finds it.
        if answer.status == 409 && code(&answer) == "DirectoryNotEmpty" {
            return Ok(false);
        }
        if answer.status != 404 {
            self.check(doing, &answer)?;
        }
        Ok(true)
    }
}

/// The name of what went wrong.
pub fn code(answer: &Response) -> String {
    let of_header = answer.header("x-ms-error-code").map(str::to_owned);
    of_header.or_else(|| xml::text(&String::from_utf8_lossy(&answer.body), "Code")).unwrap_or_default()
}

/// The error of an answer that is no success.
pub fn error(doing: &str, answer: &Response, now: u64) -> Error {
    let body = String::from_utf8_lossy(&answer.body);
    let code = code(answer);
    let sentence = xml::text(&body, "Message").and_then(|text| text.lines().next().map(str::to_owned));
    let words = sentence.unwrap_or_else(|| answer.quote());
    let name = if code.is_empty() { String::new() } else { format!(" {code}") };
    let kind = match code.as_str() {
        "ServerBusy" => ErrorCode::QuotaExceeded,
        "ShareBeingDeleted" | "DeletePending" => ErrorCode::NotReady,
        _ => ErrorCode::from_status(answer.status),
    };
    Error {
        code: kind,
        message: format!("{doing}: {words} (HTTP {}{name})", answer.status),
        provider_status: Some(answer.status),
        retry_after_ms: answer.retry_after_ms(now),
    }
}

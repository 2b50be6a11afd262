//! What a cloud cannot do, with the document that says so: the one list of what tests may skip, and of what is told to users.
//!
//! A test that needs such a thing begins with `if !needs(Need::…) { return }`. `tests/limits.rs` shows what a user hears who asks for
//! it all the same.

use crate::backend;

/// What a test may need of a cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Empty volumes in memory.
    MemoryVolumes,
    /// Any number of processors with any amount of memory.
    AnySize,
    /// More than four processors, or 8 GiB, in one job.
    LargeJobs,
    /// Hard links in volumes.
    HardLinks,
    /// Owners and modes of single files in volumes.
    Modes,
}

/// What a backend's cloud lacks.
#[derive(Debug)]
pub struct Limit {
    /// The backend.
    pub backend: &'static str,
    /// What it lacks.
    pub need: Need,
    /// Why, in a sentence.
    pub limit: &'static str,
    /// Where the cloud says so.
    pub source: &'static str,
    /// Arguments of `docker` that ask for it; the last one is a shell's where it begins with `sh: `.
    pub demand: &'static str,
    /// It ends with this code,
    pub code: i32,
    /// and says this.
    pub words: &'static str,
}

const AZURE_MOUNTS: &str = "https://learn.microsoft.com/azure/container-apps/storage-mounts";
const AZURE_SIZES: &str = "https://learn.microsoft.com/azure/container-apps/containers#allocations";
const AZURE_FILES: &str =
    "https://learn.microsoft.com/rest/api/storageservices/features-not-supported-by-the-azure-file-service";
const GOOGLE_FUSE: &str = "https://cloud.google.com/storage/docs/cloud-storage-fuse/overview#expandable-1";

/// All of them.
pub const LIMITS: [Limit; 7] = [
    Limit {
        backend: "aca",
        need: Need::MemoryVolumes,
        limit: "Container Apps has volumes on disk, of shares and of secrets, and none in memory",
        source: AZURE_MOUNTS,
        demand: "run --rm --tmpfs /scratch busybox touch /scratch/file",
        code: 0,
        words: "memory file systems (--tmpfs): the backend aca has none; they are on its disk",
    },
    Limit {
        backend: "aca",
        need: Need::AnySize,
        limit: "Container Apps has fixed pairs of processors and memory",
        source: AZURE_SIZES,
        demand: "create --cpus 0.3 busybox",
        code: 0,
        words: "the backend aca has fixed sizes: the container gets 0.5 CPUs",
    },
    Limit {
        backend: "aca",
        need: Need::LargeJobs,
        limit: "a replica has at most 4 processors and 8 GiB",
        source: AZURE_SIZES,
        demand: "create --cpus 4 --memory 9g busybox",
        code: 1,
        words: "more than the backend aca can give",
    },
    Limit {
        backend: "aca",
        need: Need::HardLinks,
        limit: "Azure Files has no hard links by SMB",
        source: AZURE_FILES,
        demand: "run --rm -v data:/data busybox sh: touch /data/one; ln /data/one /data/other",
        code: 1,
        words: "ln: /data/other: Operation not",
    },
    Limit {
        backend: "aca",
        need: Need::Modes,
        limit: "Azure Files keeps no owners and modes by SMB: the mount shows the same for all",
        source: AZURE_FILES,
        demand: "run --rm -v data:/data busybox sh: touch /data/file; chmod 600 /data/file; stat -c %a /data/file >&2",
        code: 0,
        words: "777",
    },
    Limit {
        backend: "cloudrun",
        need: Need::HardLinks,
        limit: "Cloud Storage FUSE has no hard links",
        source: GOOGLE_FUSE,
        demand: "run --rm -v data:/data busybox sh: touch /data/one; ln /data/one /data/other",
        code: 1,
        words: "ln: /data/other: ",
    },
    Limit {
        backend: "cloudrun",
        need: Need::Modes,
        limit: "Cloud Storage FUSE keeps no owners and modes: the mount shows the same for all",
        source: GOOGLE_FUSE,
        demand: "run --rm -v data:/data busybox sh: touch /data/file; chmod 600 /data/file; stat -c %a /data/file >&2",
        code: 0,
        words: "777",
    },
];

/// Whether the backend that the tests run on has what a test needs; says why the test is skipped where it has not.
#[must_use]
pub fn needs(need: Need) -> bool {
    let lacks = LIMITS.iter().find(|limit| limit.backend == backend().name && limit.need == need);
    if let Some(Limit { backend, limit, source, .. }) = lacks {
        eprintln!("skipped on {backend}: {limit} ({source})");
    }
    lacks.is_none()
}

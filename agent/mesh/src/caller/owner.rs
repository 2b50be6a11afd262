//! Looking at a program of another user.

use std::process;

use rustix::{
    fs::stat,
    io::Errno,
    process::{Gid, Uid, getegid, geteuid},
    thread::{set_thread_res_gid, set_thread_res_uid},
};

use super::Call;

impl Call {
    /// Does something to the calling thread; where it is not permitted, as the thread's own user. Root needs that without
    /// `CAP_SYS_PTRACE`, which few containers have, for a program that has become another user.
    pub(super) fn look<T>(&self, mut what: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
        match what() {
            Err(refused @ (Errno::PERM | Errno::ACCESS)) => {
                let owner = stat(format!("/proc/{}", self.thread()))?;
                let (user, group) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
                // Only root may become another.
                if user.is_root() || !geteuid().is_root() {
                    return Err(refused);
                }
                become_briefly(user, group, what)?
            }
            done => done,
        }
    }
}

/// Does something as another user, with this thread alone.
fn become_briefly<T>(user: Uid, group: Gid, what: impl FnOnce() -> T) -> Result<T, Errno> {
    let (own, own_group) = (geteuid(), getegid());
    // The saved ones stay, for the way back.
    set_thread_res_gid(group, group, own_group)?;
    let became = set_thread_res_uid(user, user, own);
    let done = became.map(|()| what());
    let back =
        set_thread_res_uid(own, own, own).and_then(|()| set_thread_res_gid(own_group, own_group, own_group));
    if back.is_err() {
        // It is always permitted to become who one was; a thread of a wrong user would be worse than none.
        process::abort();
    }
    done
}

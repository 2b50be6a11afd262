//! How long the agent waits for a daemon that is away.

use std::{
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{say, settings::Pod, tuning};

/// In some clouds the end of one container is that of all in the same job. So an agent that has nothing to do stays as long as
/// the process of any other runs there. They know of each other by abstract sockets, which belong to the network stack that
/// they share: nothing listens at one, it is there or it is not.
pub struct Patience {
    /// For a daemon that is away.
    pub linger: Duration,
    own: Option<SocketAddr>,
    others: Vec<SocketAddr>,
}

/// While it exists, a process runs here.
pub struct Busy {
    _socket: Option<UnixDatagram>,
}

impl Patience {
    /// `pod`: where the agent is one of several.
    pub fn new(linger: Duration, pod: Option<&Pod>) -> Self {
        let address = |pod: &Pod, index| {
            SocketAddr::from_abstract_name(format!("sockerless/{}/{index}", pod.job))
                .inspect_err(|error| say!("others of the same job are not known: {error}"))
                .ok()
        };
        let own = pod.and_then(|pod| address(pod, pod.index));
        let others = pod.into_iter().flat_map(|pod| {
            (0..pod.count).filter(|index| *index != pod.index).filter_map(move |index| address(pod, index))
        });
        Self { linger, own, others: others.collect() }
    }

    /// A process is about to run here.
    pub fn busy(&self) -> Busy {
        let socket = self.own.as_ref().and_then(|own| {
            let bound = UnixDatagram::bind_addr(own);
            bound.inspect_err(|error| say!("others of the same job may not wait for this one: {error}")).ok()
        });
        Busy { _socket: socket }
    }

    fn is_any_busy(&self) -> bool {
        let is_there =
            |other: &SocketAddr| -> io::Result<()> { UnixDatagram::unbound()?.connect_addr(other) };
        self.others.iter().any(|other| is_there(other).is_ok())
    }

    /// Until no process of another has run for that long.
    pub async fn quiet(&self, time: Duration) {
        let mut since = Instant::now();
        loop {
            let left = time.saturating_sub(since.elapsed());
            if left.is_zero() {
                return;
            }
            sleep(if self.others.is_empty() { left } else { left.min(tuning::OTHERS_POLL) }).await;
            if self.is_any_busy() {
                since = Instant::now();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_runs_a_process_is_known_to_the_others_of_the_same_job_and_to_nobody_else() {
        let of = |job: &str, index| {
            let job = format!("{job}-{}", std::process::id());
            Patience::new(Duration::ZERO, Some(&Pod { job, index, count: 3 }))
        };
        let [one, other, third] = [0, 1, 2].map(|index| of("a", index));
        let stranger = of("b", 1);
        assert!(!one.is_any_busy() && !other.is_any_busy());
        let busy = other.busy();
        assert!(one.is_any_busy() && third.is_any_busy());
        assert!(!other.is_any_busy(), "it waits for others alone");
        assert!(!stranger.is_any_busy());
        drop(busy);
        assert!(!one.is_any_busy());
        assert!(!Patience::new(Duration::ZERO, None).is_any_busy());
    }
}

//! Which TCP ports the container's processes listen on for others: told whenever it changes, as one frame for each list (`u16`
//! length, then each port as `u16`, big endian).

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use bytes::{BufMut, BytesMut};
use sockerless_agent_wire::{
    datagrams,
    request::{End, Reply},
};
use sockerless_mesh::shadow;
use tokio::time::sleep;

use super::datagrams::local;
use crate::{
    shared::{Channel, Output},
    tuning,
};

/// Ports that fit into one frame.
const MOST: usize = 32_767;
/// What `/proc/net/tcp` calls a socket that listens.
const LISTENS: &str = "0A";

/// Tells until the daemon ends it. `own`: the container's address in the network of who asks; `net`: the kernel's tables.
pub async fn tell(channel: Channel, own: Ipv4Addr, net: &Path) {
    channel.reply(Reply::Ready);
    let telling = async {
        let mut told = None;
        loop {
            let ports = listening(own, net);
            if told.as_ref() != Some(&ports) {
                let (mut frame, mut list) = (BytesMut::new(), BytesMut::new());
                // As many as fit.
                ports.iter().take(MOST).for_each(|port| list.put_u16(*port));
                datagrams::put(&mut frame, &list);
                if channel.write(Output::Stdout, frame.freeze()).await.is_err() {
                    return;
                }
                told = Some(ports);
            }
            sleep(tuning::PORTS_POLL).await;
        }
    };
    tokio::select! {
        () = telling => {}
        () = channel.closed() => {}
    }
    channel.end(End::Done);
}

/// As a peer would find them: not what listens on 127.0.0.1 alone.
fn listening(own: Ipv4Addr, net: &Path) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    for table in ["tcp", "tcp6"] {
        let table = std::fs::read_to_string(net.join(table)).unwrap_or_default();
        let listening = table.lines().skip(1).filter(|line| line.split_whitespace().nth(3) == Some(LISTENS));
        let reachable = listening.filter_map(local).filter(|local| match local.ip().to_canonical() {
            IpAddr::V4(v4) => v4 == shadow(own) || !v4.is_loopback(),
            IpAddr::V6(v6) => !v6.is_loopback(),
        });
        ports.extend(reachable.map(|local| local.port()));
    }
    ports
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn ports_on_all_addresses_and_on_the_own_one_are_told_and_those_of_localhost_are_not() {
        let own = Ipv4Addr::new(172, 18, 0, 3);
        let open = |address: Ipv4Addr| TcpListener::bind((address, 0)).unwrap();
        let [all, mine, hidden] = [Ipv4Addr::UNSPECIFIED, shadow(own), Ipv4Addr::LOCALHOST].map(open);
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let told = listening(own, Path::new("/proc/net"));
        assert!(told.contains(&port(&all)) && told.contains(&port(&mine)));
        assert!(!told.contains(&port(&hidden)));
    }
}

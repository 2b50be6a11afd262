//! The network of root's tasks: one bridge per executor, whose address is the machine's.

use std::{
    collections::HashSet,
    fs,
    net::Ipv4Addr,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{io::AsyncWriteExt, process::Command};

use super::netlink::{Netlink, index_of};
use crate::{
    error::ExecutorError,
    stage::protocol::NetworkPlan,
    tuning::{NETWORK_POOL, NETWORK_PREFIX},
};

/// A bridge with its subnet and its rules.
#[derive(Debug)]
pub(crate) struct Bridge {
    name: String,
    scope: String,
    subnet: Ipv4Addr,
    remark: Option<String>,
    taken: Arc<Mutex<Taken>>,
}

/// Addresses by their number in the subnet. They are handed out round robin: the kernel takes
/// its time to forget an ended task's link.
#[derive(Debug)]
struct Taken {
    numbers: HashSet<u32>,
    last: u32,
}

/// Gives its address back when it is dropped.
#[derive(Debug)]
pub(crate) struct BridgeLease {
    number: u32,
    taken: Arc<Mutex<Taken>>,
}

impl Drop for BridgeLease {
    fn drop(&mut self) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).numbers.remove(&self.number);
    }
}

const HOSTS: u32 = 1 << (32 - NETWORK_PREFIX as u32);
/// Number of the bridge's own address.
const GATEWAY: u32 = 1;

impl Bridge {
    /// Makes the bridge anew; a killed executor's of the same scope is removed first.
    pub(crate) async fn open(scope: &str) -> Result<Self, ExecutorError> {
        let failed = |error| ExecutorError::system("network bridge", error);
        let name = format!("sl-{scope}");
        let netlink = Netlink::open().map_err(failed)?;
        netlink.remove(&name).map_err(failed)?;
        let routes = fs::read_to_string("/proc/net/route").map_err(failed)?;
        let subnet = free_subnet(&routes, scope).ok_or_else(|| {
            ExecutorError::Unsupported(
                "all of 10.64.0.0/10 is routed already: no room for the containers' network".into(),
            )
        })?;
        let mut bridge = Self {
            name,
            scope: scope.to_owned(),
            subnet,
            remark: None,
            taken: Arc::new(Mutex::new(Taken {
                numbers: HashSet::from([0, GATEWAY, HOSTS - 1]),
                last: GATEWAY,
            })),
        };
        let o = bridge.gateway().octets();
        netlink.add_bridge(&bridge.name, [0x02, 0x53, o[0], o[1], o[2], o[3]]).map_err(failed)?;
        // Nothing but IPv4 leads out of here.
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", bridge.name), "1");
        let index = index_of(&bridge.name).map_err(failed)?;
        netlink.add_address(index, bridge.gateway(), NETWORK_PREFIX).map_err(failed)?;
        bridge.remark = bridge.translate().await.err();
        Ok(bridge)
    }

    pub(crate) fn gateway(&self) -> Ipv4Addr {
        self.address(GATEWAY)
    }

    pub(crate) fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    pub(crate) fn lease(&self) -> Result<(Ipv4Addr, NetworkPlan, BridgeLease), ExecutorError> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let last = taken.last;
        let number = (1..=HOSTS)
            .map(|step| (last + step) % HOSTS)
            .find(|number| !taken.numbers.contains(number))
            .ok_or_else(|| {
                ExecutorError::system("network", std::io::Error::other("all addresses are taken"))
            })?;
        taken.numbers.insert(number);
        taken.last = number;
        let address = self.address(number);
        let plan = NetworkPlan::Bridge {
            bridge: self.name.clone(),
            // A link's name has at most 15 bytes.
            port: format!("sl{}-{number:x}", self.scope),
            address,
            gateway: self.gateway(),
        };
        Ok((address, plan, BridgeLease { number, taken: Arc::clone(&self.taken) }))
    }

    pub(crate) async fn close(&self) {
        if self.remark.is_none() {
            let _ = nft(&format!("delete table ip {}\n", self.table())).await;
        }
        let removed = Netlink::open().and_then(|netlink| netlink.remove(&self.name));
        if let Err(error) = removed {
            tracing::warn!(bridge = self.name, %error, "the bridge stays behind");
        }
    }

    fn address(&self, number: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.subnet) + number)
    }

    fn table(&self) -> String {
        format!("sockerless_{}", self.scope)
    }

    /// Ways out by NAT, none in, none across. The error is a sentence for `Limits`.
    async fn translate(&self) -> Result<(), String> {
        const REMEDY: &str = "containers reach this machine only";
        let (table, name, subnet) = (self.table(), &self.name, self.subnet);
        // Declared before it is deleted, since deleting what is not there is an error.
        let rules = format!(
            "table ip {table} {{}}\n\
             delete table ip {table}\n\
             table ip {table} {{\n\
               chain postrouting {{\n\
                 type nat hook postrouting priority srcnat; policy accept;\n\
                 ip saddr {subnet}/{NETWORK_PREFIX} oifname != \"{name}\" masquerade\n\
               }}\n\
               chain forward {{\n\
                 type filter hook forward priority filter; policy accept;\n\
                 iifname \"{name}\" oifname \"{name}\" drop\n\
                 oifname \"{name}\" ct state established,related accept\n\
                 oifname \"{name}\" drop\n\
               }}\n\
             }}\n"
        );
        nft(&rules).await.map_err(|error| {
            format!("no outbound network, {REMEDY}: nft: {error}; `apt-get install nftables` may help")
        })?;
        let forward = "/proc/sys/net/ipv4/ip_forward";
        if fs::read_to_string(forward).unwrap_or_default().trim() != "1" {
            fs::write(forward, "1").map_err(|error| {
                format!("no outbound network, {REMEDY}: {forward}: {error}; `sysctl net.ipv4.ip_forward=1` allows it")
            })?;
            tracing::info!("switched net.ipv4.ip_forward on, as containers need it");
        }
        Ok(())
    }
}

async fn nft(rules: &str) -> std::io::Result<()> {
    let spawn = |program: &str| {
        Command::new(program)
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    };
    // Often not on the PATH of those who are not root by login.
    let mut child = spawn("nft").or_else(|_| spawn("/usr/sbin/nft"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(rules.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    if output.status.success() {
        return Ok(());
    }
    Err(std::io::Error::other(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")))
}

/// A subnet of the pool that meets no route, beginning at a place that the scope decides, so that
/// it tends to be the same each time.
fn free_subnet(routes: &str, scope: &str) -> Option<Ipv4Addr> {
    let (pool, pool_prefix) = NETWORK_POOL;
    let count = 1_u32 << (NETWORK_PREFIX - pool_prefix);
    let taken: Vec<(u32, u32)> = routes.lines().skip(1).filter_map(route).collect();
    let start = u32::from_str_radix(scope.get(..8)?, 16).ok()? % count;
    let mask = u32::MAX << (32 - NETWORK_PREFIX);
    (0..count)
        .map(|step| u32::from(pool) + (start + step) % count * HOSTS)
        .find(|subnet| {
            !taken.iter().any(|(other, other_mask)| subnet & other_mask & mask == other & mask & other_mask)
        })
        .map(Ipv4Addr::from)
}

/// Destination and mask of a line of /proc/net/route; the default route meets nothing.
fn route(line: &str) -> Option<(u32, u32)> {
    let mut fields = line.split_whitespace();
    let number = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::swap_bytes);
    let destination = number(fields.nth(1)?)?;
    let mask = number(fields.nth(5)?)?;
    (mask != 0).then_some((destination, mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";

    #[test]
    fn a_routed_subnet_is_passed_over() {
        let free = free_subnet(HEAD, "00000001").unwrap();
        assert_eq!(free, Ipv4Addr::new(10, 64, 16, 0));
        // 10.64.16.0/24 and a default route.
        let routes = format!(
            "{HEAD}eth0\t0010400A\t0\t1\t0\t0\t0\t00FFFFFF\t0\t0\t0\neth0\t0\t0\t1\t0\t0\t0\t0\t0\t0\t0\n"
        );
        assert_eq!(free_subnet(&routes, "00000001").unwrap(), Ipv4Addr::new(10, 64, 32, 0));
    }

    #[test]
    fn a_route_around_the_whole_pool_leaves_nothing() {
        let routes = format!("{HEAD}eth0\t0000000A\t0\t1\t0\t0\t0\t000000FF\t0\t0\t0\n");
        assert_eq!(free_subnet(&routes, "00000001"), None);
    }
}

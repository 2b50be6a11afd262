//! `docker stats`: what a container uses, second by second, from its agent.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use futures_util::{StreamExt, stream, stream::BoxStream};
use jiff::Timestamp;
use serde::Serialize;
use sockerless_ports::link::request::{Interface, Reply, Request, Sample};

use super::table::Entry;
use crate::{
    Engine, Error, ErrorKind, Result, StatsRequest, ask::unexpected, error::needs_agent, life::Phase,
    supervisor::run_id, tuning,
};

/// One answer of `GET /containers/{id}/stats`, with the fields that dockerd fills on a machine with cgroup v2.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct ContainerStats {
    /// With a slash.
    pub name: String,
    pub id: String,
    /// RFC 3339 with nanoseconds; the year 1 for never.
    pub read: String,
    /// When `precpu_stats` were read.
    pub preread: String,
    pub pids_stats: PidsStats,
    pub blkio_stats: BlkioStats,
    /// Of Windows.
    num_procs: u32,
    storage_stats: StorageStats,
    pub cpu_stats: CpuStats,
    pub precpu_stats: CpuStats,
    pub memory_stats: MemoryStats,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<String, NetworkStats>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct PidsStats {
    #[serde(skip_serializing_if = "is_zero")]
    pub current: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub limit: u64,
}

/// Only bytes are counted there; dockerd writes `null` for the others.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct BlkioStats {
    pub io_service_bytes_recursive: Option<Vec<BlkioEntry>>,
    io_serviced_recursive: (),
    io_queue_recursive: (),
    io_service_time_recursive: (),
    io_wait_time_recursive: (),
    io_merged_recursive: (),
    io_time_recursive: (),
    sectors_recursive: (),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct BlkioEntry {
    pub major: u64,
    pub minor: u64,
    pub op: String,
    pub value: u64,
}

/// Of Windows: empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct StorageStats {}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct CpuStats {
    pub cpu_usage: CpuUsage,
    #[serde(skip_serializing_if = "is_zero")]
    pub system_cpu_usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub online_cpus: u64,
    pub throttling_data: ThrottlingData,
}

/// Nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct CpuUsage {
    pub total_usage: u64,
    pub usage_in_kernelmode: u64,
    pub usage_in_usermode: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct ThrottlingData {
    pub periods: u64,
    pub throttled_periods: u64,
    /// Nanoseconds.
    pub throttled_time: u64,
}

/// Bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct MemoryStats {
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stats: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "is_zero")]
    pub limit: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct NetworkStats {
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Engine {
    /// `GET /containers/{id}/stats`. A container that does not run uses nothing; the stream goes on for when it does, until
    /// it is removed. Without `stream` there is one answer: after a second, so that there is something to compare with, or
    /// at once if that is asked for.
    ///
    /// Errors: 404, 501 when it runs without an agent, 503 when its agent is out of reach. In a stream a second without an
    /// answer is left out.
    pub async fn stats(
        &self,
        reference: &str,
        request: StatsRequest,
    ) -> Result<BoxStream<'static, ContainerStats>> {
        let engine = self.shared()?;
        let entry = self.containers.find(reference)?;
        let mut before = None;
        if !request.stream {
            if !request.one_shot {
                before = engine.sample(&entry).await?;
                if before.is_some() {
                    tokio::time::sleep(tuning::STATS_PERIOD).await;
                }
            }
            let now = engine.sample(&entry).await?;
            let stats = show(&entry, now.as_ref(), before.as_ref());
            return Ok(stream::iter([stats]).boxed());
        }
        // The first answer tells whether there can be any.
        let first = engine.sample(&entry).await?;
        let begin = stream::iter([show(&entry, first.as_ref(), None)]);
        let closing = engine.closing().clone().cancelled_owned();
        let ticks = tokio::time::interval_at(
            tokio::time::Instant::now() + tuning::STATS_PERIOD,
            tuning::STATS_PERIOD,
        );
        let rest =
            stream::unfold((engine, entry, first, ticks), |(engine, entry, mut before, mut ticks)| async {
                loop {
                    ticks.tick().await;
                    if entry.view().state.phase == Phase::Removed {
                        return None;
                    }
                    match engine.sample(&entry).await {
                        Ok(now) => {
                            let stats = show(&entry, now.as_ref(), before.as_ref());
                            before = now;
                            return Some((stats, (engine, entry, before, ticks)));
                        }
                        Err(error) => {
                            tracing::debug!(container = entry.id(), %error, "no statistics for a while");
                        }
                    }
                }
            });
        Ok(begin.chain(rest).take_until(closing).boxed())
    }

    /// What it uses now; none when it does not run.
    async fn sample(&self, entry: &Arc<Entry>) -> Result<Option<Sample>> {
        let state = &entry.view().state;
        if state.phase != Phase::Running {
            return Ok(None);
        }
        if !state.agent {
            return Err(needs_agent("statistics"));
        }
        match self.ask(&run_id(entry, state.generation), Request::Sample).await {
            Ok((Reply::Sample(sample), _)) => Ok(Some(*sample)),
            Ok((Reply::Failed(fault), _)) => Err(fault.into()),
            Ok((other, _)) => Err(unexpected(&other)),
            // It has ended meanwhile.
            Err(Error { kind: ErrorKind::Conflict, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn show(entry: &Entry, now: Option<&Sample>, before: Option<&Sample>) -> ContainerStats {
    let blank = Sample::default();
    let sample = now.unwrap_or(&blank);
    let blocks = sample.block.iter().map(|(major, minor, op, value)| BlkioEntry {
        major: *major,
        minor: *minor,
        op: op.clone(),
        value: *value,
    });
    ContainerStats {
        name: format!("/{}", entry.view().name),
        id: entry.id().to_owned(),
        read: time(now),
        preread: time(before),
        pids_stats: PidsStats { current: sample.pids, limit: sample.pids_limit },
        blkio_stats: BlkioStats {
            io_service_bytes_recursive: now.map(|_| blocks.collect()),
            ..BlkioStats::default()
        },
        num_procs: 0,
        storage_stats: StorageStats {},
        cpu_stats: now.map(cpu).unwrap_or_default(),
        precpu_stats: before.map(cpu).unwrap_or_default(),
        memory_stats: MemoryStats {
            usage: sample.memory,
            stats: sample.memory_detail.iter().cloned().collect(),
            limit: sample.memory_limit,
        },
        networks: sample.networks.iter().map(|one| (one.name.clone(), network(one))).collect(),
    }
}

/// dockerd's zero of a time is the year 1.
fn time(sample: Option<&Sample>) -> String {
    let Some(sample) = sample else { return "0001-01-01T00:00:00Z".into() };
    let time = i64::try_from(sample.time).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let time = time.or_else(|| Timestamp::try_from(SystemTime::now()).ok()).unwrap_or_default();
    format!("{time:.9}")
}

fn cpu(sample: &Sample) -> CpuStats {
    let [periods, throttled_periods, throttled_time] = sample.throttling;
    CpuStats {
        cpu_usage: CpuUsage {
            total_usage: sample.cpu_total,
            usage_in_kernelmode: sample.cpu_system,
            usage_in_usermode: sample.cpu_user,
        },
        system_cpu_usage: sample.machine_cpu,
        online_cpus: sample.cpus.into(),
        throttling_data: ThrottlingData { periods, throttled_periods, throttled_time },
    }
}

fn network(one: &Interface) -> NetworkStats {
    let ([rx_bytes, rx_packets, rx_errors, rx_dropped], [tx_bytes, tx_packets, tx_errors, tx_dropped]) =
        (one.received, one.sent);
    NetworkStats { rx_bytes, rx_packets, rx_errors, rx_dropped, tx_bytes, tx_packets, tx_errors, tx_dropped }
}

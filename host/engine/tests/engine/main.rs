//! The engine as its neighbours see it, between fakes of all its ports that know no network and no disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attach;
mod binds;
mod crash;
mod create;
mod delivery;
mod disk;
mod execs;
mod failures;
mod files;
mod images;
mod left_behind;
mod linger;
mod lists;
mod many;
mod networks;
mod pods;
mod ports;
mod runs;
mod services;
mod stops;
mod synced;
mod trial;
mod usage;
mod volumes;
mod without_agent;
mod world;

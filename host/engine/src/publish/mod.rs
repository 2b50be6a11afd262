//! Published ports (`-p`, `-P`): listeners of this machine whose connections lead into containers.
//!
//! The daemon listens as dockerd's proxy would; each connection, and each peer of a UDP port, is a channel to the
//! container's agent, so that flow control, half-close and cuts of the line are the channel's business. It comes from the
//! gateway of the container's network, as another container's would come from that: what listens on 127.0.0.1 alone, or has
//! left all its networks, is not reached. Ports are bound
//! before a container's job is made, since a port that is taken has to stop the start; nobody is let in before its process
//! runs.

mod allocate;
mod door;
mod show;
mod socket;
mod tcp;
mod udp;
mod wanted;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use sockerless_ports::link::request::Protocol;

use self::{allocate::Allocator, door::Door, socket::Socket};
use crate::{
    Engine, Error, ErrorKind, Result,
    containers::{Entry, endpoint_id},
    error::needs_agent,
    life::{Event, Phase},
    supervisor::run_id,
};

pub(crate) use show::{bindings, listed};
pub(crate) use wanted::{is_refused, wanted};

/// A port of this machine that leads into a container; kept with the container's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Published {
    /// Of both ports.
    pub protocol: Protocol,
    /// The container's.
    pub port: u16,
    /// Where this machine listens.
    pub address: IpAddr,
    /// This machine's.
    pub host_port: u16,
}

/// All ports that this daemon holds.
#[derive(Default)]
pub(crate) struct Publisher(Mutex<Held>);

#[derive(Default)]
struct Held {
    allocator: Allocator,
    /// By container: the generation that they are for, and the doors.
    doors: HashMap<String, (u32, Vec<Door>)>,
}

impl Publisher {
    fn held(&self) -> MutexGuard<'_, Held> {
        // Each change is one insertion or removal: a panic cannot leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Binds what a container publishes and shows it; to be called once in each start, before anything is made in a cloud.
    ///
    /// Errors: 500 in dockerd's words when a port cannot be had, then none of them is held; 501 without an agent.
    pub(crate) async fn publish(self: &Arc<Self>, entry: &Arc<Entry>, generation: u32) -> Result<()> {
        let wanted = wanted(&entry.spec);
        if wanted.is_empty() {
            return Ok(());
        }
        let view = entry.view();
        if !view.state.agent {
            return Err(needs_agent("published ports (-p, -P)"));
        }
        let ports = {
            let mut held = self.publisher.held();
            let sockets = held.allocator.take(&wanted, &view.state.ports).map_err(|why| {
                let message = format!(
                    "driver failed programming external connectivity on endpoint {} ({}): {why}",
                    view.name,
                    endpoint_id(&entry.view())
                );
                Error::new(ErrorKind::Internal, message)
            })?;
            self.open_doors(&mut held, entry, generation, sockets)
        };
        self.show(entry, generation, ports).await;
        Ok(())
    }

    /// Binds the very ports that a run had whose start an earlier daemon saw. One that is taken meanwhile is missing from
    /// then on, with a word in the log.
    pub(crate) async fn publish_again(self: &Arc<Self>, entry: &Arc<Entry>, generation: u32) {
        let before = &entry.view().state.ports;
        if before.is_empty() {
            return;
        }
        let ports = {
            let mut held = self.publisher.held();
            let sockets = before.iter().filter_map(|port| held.allocator.take_again(port)).collect();
            self.open_doors(&mut held, entry, generation, sockets)
        };
        self.show(entry, generation, ports).await;
    }

    fn open_doors(
        self: &Arc<Self>,
        held: &mut Held,
        entry: &Arc<Entry>,
        generation: u32,
        sockets: Vec<Socket>,
    ) -> Vec<Published> {
        let ports = sockets.iter().map(|socket| socket.published.clone()).collect();
        let doors = sockets.into_iter().map(|socket| self.open_door(entry, generation, socket)).collect();
        held.doors.insert(entry.id().to_owned(), (generation, doors));
        ports
    }

    async fn show(&self, entry: &Arc<Entry>, generation: u32, ports: Vec<Published>) {
        self.report(entry, Event::Published { generation, ports }).await;
        // It may have been stopped meanwhile, and those who end it found nothing to close.
        if entry.view().state.ended >= generation {
            self.unpublish(entry.id(), generation).await;
        }
    }

    /// Gives a run's ports back; they are free when this returns. Connections go on for as long as the agent carries them.
    pub(crate) async fn unpublish(&self, container: &str, generation: u32) {
        let doors = {
            let mut held = self.publisher.held();
            match held.doors.get(container) {
                Some((of, _)) if *of <= generation => held.doors.remove(container),
                _ => None,
            }
        };
        for door in doors.into_iter().flat_map(|(_, doors)| doors) {
            let published = door.close().await;
            self.publisher.held().allocator.give_back(&published);
        }
    }

    fn open_door(self: &Arc<Self>, entry: &Arc<Entry>, generation: u32, socket: Socket) -> Door {
        let run = run_id(entry, generation);
        let (engine, changes) = (Arc::clone(self), entry.subscribe());
        Door::open(self, socket, move |socket| async move {
            let mut changes = changes;
            let known = engine.runs.get(&run);
            let runs = changes
                .wait_for(|view| view.state.launched >= run.generation || view.state.ended >= run.generation);
            let runs = runs.await.is_ok_and(|view| view.state.phase == Phase::Running);
            if let (true, Some(known)) = (runs, known) {
                // After a restart of the daemon the agent has to find its way back first. The sender lives in `known`.
                let _ = known.line.subscribe().wait_for(|up| *up).await;
            }
            socket.serve(engine, run).await;
        })
    }
}

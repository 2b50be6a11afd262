//! What the daemon asks for: one worker for each request, on a channel of its own.

mod archive;
mod binds;
pub mod datagrams;
pub mod dial;
mod exec;
mod fault;
pub mod files;
mod freeze;
mod health;
mod ports;
mod processes;
mod sample;
mod stream;
mod sync;
mod transfer;
mod walk;

use std::rc::Rc;

use sockerless_agent_wire::{
    mesh::{PORTS, Reach, Target},
    request::{Protocol, Request},
};
use tokio::task::spawn_local;

use self::dial::Way;
pub use self::health::check as health;
use crate::shared::{Channel, Shared};

/// Serves requests for ever.
pub async fn serve(shared: Rc<Shared>) {
    loop {
        let (channel, request) = shared.asked().await;
        spawn_local(work(Rc::clone(&shared), channel, request));
    }
}

async fn work(shared: Rc<Shared>, channel: Channel, request: Request) {
    match request {
        Request::Exec(exec) => exec::run(shared, channel, *exec).await,
        Request::Stat { path } => archive::stat(channel, path).await,
        Request::Get { path } => archive::get(channel, path).await,
        Request::Put(put) => archive::put(channel, put).await,
        Request::Export { except } => walk::export(channel, except).await,
        Request::Walk => walk::walk(channel).await,
        Request::Changed => walk::changed(channel).await,
        Request::Scan { path, except } => binds::scan(channel, path, except).await,
        Request::Pick { path, names } => binds::pick(channel, path, names).await,
        Request::Remove { path, names } => binds::remove(channel, path, names).await,
        Request::Reach(Reach {
            target: Target { protocol: Protocol::Tcp, address, port: PORTS }, ..
        }) => {
            let net = shared.catcher.get().and_then(|catcher| catcher.tun().map(|tun| tun.tables()));
            ports::tell(channel, address, &net.unwrap_or_else(|| "/proc/net".into())).await;
        }
        Request::Reach(Reach { from, target: Target { protocol, address, port }, .. }) => {
            let way = Way { from, to: address };
            dial::dial(&shared, channel, way, protocol, port).await;
        }
        Request::Processes => processes::list(channel).await,
        Request::Sample => sample::sample(channel).await,
        Request::Sync(sync) => sync::sync(channel, *sync).await,
        Request::Freeze => freeze::freeze(channel).await,
        Request::Thaw => freeze::thaw(channel).await,
    }
}

//! Networks: made and removed, shown, containers on them, and what leads from one to the other and out.

mod cleanup;
mod connect;
mod create;
mod list;
mod many;
mod mesh;
mod outside;
mod records;
mod remove;
mod start;

use std::collections::HashMap;

use bollard_stubs::models::{
    EndpointIpamConfig, EndpointSettings, Ipam, IpamConfig, Network, NetworkCreateRequest, NetworkingConfig,
};
use futures_util::StreamExt;
use sockerless_engine::{CreateRequest, Error, ErrorKind, Filters};

use crate::world::*;

/// Makes a network and gives its id.
async fn make(world: &World, name: &str) -> String {
    make_with(world, name, |_| {}).await
}

async fn make_with(world: &World, name: &str, change: impl FnOnce(&mut NetworkCreateRequest)) -> String {
    let mut request = NetworkCreateRequest { name: name.into(), ..NetworkCreateRequest::default() };
    change(&mut request);
    world.engine.create_network(request).await.unwrap().id
}

fn subnet(text: &str) -> Option<Ipam> {
    let config = IpamConfig { subnet: Some(text.into()), ..IpamConfig::default() };
    Some(Ipam { config: Some(vec![config]), ..Ipam::default() })
}

/// A wish to be on networks: the first is the mode.
fn on(networks: &[&str]) -> impl FnOnce(&mut CreateRequest) {
    let all: HashMap<String, EndpointSettings> =
        networks.iter().map(|name| ((*name).to_owned(), EndpointSettings::default())).collect();
    let mode = networks.first().map(|name| (*name).to_owned());
    move |request| {
        request.host.network_mode = mode;
        request.networking = NetworkingConfig { endpoints_config: Some(all) };
    }
}

/// A wish to be on one network, with settings.
fn on_with(network: &str, settings: EndpointSettings) -> impl FnOnce(&mut CreateRequest) {
    let all = HashMap::from([(network.to_owned(), settings)]);
    let mode = Some(network.to_owned());
    move |request| {
        request.host.network_mode = mode;
        request.networking = NetworkingConfig { endpoints_config: Some(all) };
    }
}

fn address(text: &str) -> EndpointSettings {
    let config = EndpointIpamConfig { ipv4_address: Some(text.into()), ..EndpointIpamConfig::default() };
    EndpointSettings { ipam_config: Some(config), ..EndpointSettings::default() }
}

fn aliases(names: &[&str]) -> EndpointSettings {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    EndpointSettings { aliases: Some(names), ..EndpointSettings::default() }
}

/// Creates and starts a container on networks.
async fn run_on(world: &World, name: &str, networks: &[&str]) -> String {
    let id = world.create_with(name, &["sleep"], on(networks)).await;
    world.engine.start(name).await.unwrap();
    id
}

fn places(world: &World, container: &str) -> HashMap<String, EndpointSettings> {
    world.engine.inspect(container, false).unwrap().network_settings.unwrap().networks.unwrap()
}

/// The address of a container on a network; empty without one.
fn ip(world: &World, container: &str, network: &str) -> String {
    places(world, container)[network].ip_address.clone().unwrap()
}

fn inspect(world: &World, network: &str) -> Network {
    world.engine.inspect_network(network, None).unwrap()
}

/// The names of the containers on a network, with their addresses.
fn members(world: &World, network: &str) -> Vec<String> {
    let containers = inspect(world, network).containers.unwrap();
    let mut all: Vec<String> = containers
        .into_values()
        .map(|one| format!("{} {}", one.name.unwrap(), one.ipv4_address.unwrap()))
        .collect();
    all.sort();
    all
}

fn filters(pairs: &[(&str, &str)]) -> Filters {
    let mut filters = Filters::new();
    for (name, value) in pairs {
        filters.entry((*name).to_owned()).or_default().push((*value).to_owned());
    }
    filters
}

fn names(world: &World, pairs: &[(&str, &str)]) -> Vec<String> {
    let all = world.engine.networks(&filters(pairs)).unwrap();
    all.into_iter().map(|network| network.name.unwrap()).collect()
}

fn zone(network: &str) -> String {
    format!("sockerless-net-{}", &network[..12])
}

fn told(error: Error) -> (ErrorKind, String) {
    (error.kind, error.message)
}

async fn sleep(seconds: u64) {
    tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
}

/// The events of networks so far: action, name, and whether it is about a container.
async fn events(world: &World) -> Vec<String> {
    let request = sockerless_engine::EventsRequest {
        until: Some(std::time::SystemTime::now()),
        filters: filters(&[("type", "network")]),
        ..Default::default()
    };
    let events = world.engine.events(request).unwrap();
    let line = |event: bollard_stubs::models::EventMessage| {
        let attributes = event.actor.unwrap().attributes.unwrap();
        let name = attributes.get("name").map_or("", String::as_str);
        format!("{} {name}", event.action.unwrap()).trim().to_owned()
    };
    events.map(line).collect().await
}

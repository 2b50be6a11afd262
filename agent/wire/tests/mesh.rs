//! What the protocol has for connections between containers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{collections::BTreeMap, net::Ipv4Addr};

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use sockerless_agent_wire::{
    Frame, FromAgent, FromDaemon, Inbox, Outbox,
    mesh::{Catching, Connected, MeshNetwork, MeshView, Reach, Rung, Target},
    request::{Protocol, Request},
};

fn address() -> impl Strategy<Value = Ipv4Addr> {
    any::<u32>().prop_map(Ipv4Addr::from)
}

fn target() -> impl Strategy<Value = Target> {
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)];
    (protocol, address(), any::<u16>()).prop_map(|(protocol, address, port)| Target {
        protocol,
        address,
        port,
    })
}

fn network() -> impl Strategy<Value = MeshNetwork> {
    let names =
        proptest::collection::btree_map("\\PC{0,12}", proptest::collection::vec(address(), 0..4), 0..5);
    (".{0,9}", address(), 0u8..=32, address(), address(), names).prop_map(
        |(name, subnet, prefix, gateway, address, names)| MeshNetwork {
            name,
            subnet,
            prefix,
            gateway,
            address,
            names,
        },
    )
}

fn rung() -> impl Strategy<Value = Rung> {
    prop_oneof![Just(Rung::Tun), Just(Rung::Seccomp), Just(Rung::Loopback), Just(Rung::None)]
}

fn from_agent() -> impl Strategy<Value = FromAgent> {
    prop_oneof![
        (any::<u32>(), target()).prop_map(|(channel, target)| FromAgent::Connect { channel, target }),
        any::<u32>().prop_map(|channel| FromAgent::ConnectApi { channel }),
        any::<u32>().prop_map(|channel| FromAgent::HangUp { channel }),
        (rung(), ".{0,20}").prop_map(|(rung, warning)| FromAgent::Catching(Catching { rung, warning })),
    ]
}

fn from_daemon() -> impl Strategy<Value = FromDaemon> {
    let outcome = prop_oneof![
        any::<u32>().prop_map(|credit| Connected::Open { credit }),
        Just(Connected::Refused),
        Just(Connected::Unreachable),
        Just(Connected::TimedOut)
    ];
    let view = (
        any::<bool>(),
        proptest::collection::vec(network(), 0..3),
        proptest::collection::vec(any::<std::net::IpAddr>(), 0..3),
        proptest::collection::vec(".{0,9}", 0..3),
        proptest::collection::vec(address(), 0..3),
        proptest::option::of(rung()),
    )
        .prop_map(|(catch, networks, name_servers, words, pod, rung)| MeshView {
            catch,
            networks,
            hosts: BTreeMap::from([("given".to_owned(), name_servers.clone())]),
            name_servers,
            search: words.clone(),
            resolver_options: words.clone(),
            own_names: words,
            pod,
            rung,
        });
    let reach =
        (address(), target(), any::<u32>()).prop_map(|(from, target, window)| Reach { from, target, window });
    prop_oneof![
        (any::<u32>(), outcome).prop_map(|(channel, outcome)| FromDaemon::Connected { channel, outcome }),
        (any::<u32>(), any::<bool>())
            .prop_map(|(channel, reset)| FromDaemon::Disconnected { channel, reset }),
        view.prop_map(|view| FromDaemon::Mesh(Box::new(view))),
        (any::<u32>(), reach).prop_map(|(channel, reach)| FromDaemon::Open {
            channel,
            request: Box::new(Request::Reach(reach))
        }),
    ]
}

fn json(frame: Frame) -> Bytes {
    match frame {
        Frame::Control(json) => json,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn words_of_the_mesh_are_read_as_they_were_said(agent in from_agent(), daemon in from_daemon()) {
        prop_assert_eq!(FromAgent::parse(&json(Frame::control(&agent).unwrap())).unwrap(), agent);
        prop_assert_eq!(FromDaemon::parse(&json(Frame::control(&daemon).unwrap())).unwrap(), daemon);
    }

    #[test]
    fn it_makes_no_difference_whether_bytes_are_given_or_copied(
        sizes in proptest::collection::vec((1usize..40_000, any::<bool>()), 1..30),
        most in 1usize..100_000,
    ) {
        let (mut given, mut mixed) = (Outbox::new(0), Outbox::new(0));
        for outbox in [&mut given, &mut mixed] {
            outbox.resume(0, u32::MAX).unwrap();
        }
        let mut sent = [BytesMut::new(), BytesMut::new()];
        for (place, (size, copied)) in sizes.iter().enumerate() {
            let piece = Bytes::from(vec![place as u8; *size]);
            given.push(piece.clone());
            if *copied { mixed.extend(&piece) } else { mixed.push(piece) }
            prop_assert_eq!(given.end(), mixed.end());
        }
        for (outbox, message) in [&mut given, &mut mixed].into_iter().zip(&mut sent) {
            while outbox.send(8, most, message) {}
        }
        prop_assert!(sent[0] == sent[1]);
    }

    #[test]
    fn whoever_sends_hears_of_a_quarter_of_the_window_at_once(window in 4u32..100_000, steps in proptest::collection::vec(1usize..5_000, 1..40)) {
        let mut inbox = Inbox::new(0, window);
        let (mut offset, mut told) = (0u64, 0u64);
        for step in steps {
            let count = step.min(window as usize - (offset - inbox.consumed()) as usize);
            inbox.accept(offset, Bytes::from(vec![0; count])).unwrap();
            offset += count as u64;
            inbox.consume(count);
            prop_assert_eq!(inbox.is_pressing(), inbox.consumed() - told >= u64::from(window / 4));
            if inbox.is_pressing() {
                told = inbox.acknowledgement().unwrap().0;
            }
        }
    }
}

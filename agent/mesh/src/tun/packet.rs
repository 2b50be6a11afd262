//! IPv4 packets (RFC 791), as far as connections and datagrams need them.

use std::net::{Ipv4Addr, SocketAddrV4};

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
const ICMP: u8 = 1;

/// What a packet's headers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub protocol: u8,
    pub from: SocketAddrV4,
    pub to: SocketAddrV4,
    /// Where the transport's header begins.
    at: usize,
    /// TCP: the first packet of a connection.
    pub opens: bool,
}

/// The flags of TCP.
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// IPv4's and the transport's least headers, bytes.
const IP: usize = 20;
const UDP_HEADER: usize = 8;
const TCP_HEADER: usize = 20;

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(octets.into())
}

impl Header {
    /// None for what is neither TCP nor UDP over IPv4, and for parts of packets.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let first = *packet.first()?;
        let at = usize::from(first & 15) * 4;
        if first >> 4 != 4 || at < IP || usize::from(word(packet, 2)?) != packet.len() {
            return None;
        }
        // More parts, or not the first.
        if word(packet, 6)? & 0x3fff != 0 {
            return None;
        }
        let protocol = packet[9];
        let least = match protocol {
            TCP => TCP_HEADER,
            UDP => UDP_HEADER,
            _ => return None,
        };
        if packet.len() < at + least {
            return None;
        }
        let end = |ip, port| Some(SocketAddrV4::new(address(packet, ip)?, word(packet, port)?));
        let opens = protocol == TCP && packet[at + 13] & (SYN | ACK | RST | FIN) == SYN;
        Some(Self { protocol, from: end(12, at)?, to: end(16, at + 2)?, at, opens })
    }

    /// What a datagram carries.
    pub fn data<'a>(&self, packet: &'a [u8]) -> Option<&'a [u8]> {
        let length = usize::from(word(packet, self.at + 4)?);
        packet.get(self.at + UDP_HEADER..self.at + length)
    }

    /// Gives the packet other ends.
    pub fn redirect(&self, packet: &mut [u8], from: SocketAddrV4, to: SocketAddrV4) {
        let mut sum = Change::default();
        for (at, old, new) in [(12, self.from.ip(), from.ip()), (16, self.to.ip(), to.ip())] {
            sum.words(&old.octets(), &new.octets());
            packet[at..at + 4].copy_from_slice(&new.octets());
        }
        // The ports are in the transport's sum alone.
        let mut both = sum;
        for (at, old, new) in
            [(self.at, self.from.port(), from.port()), (self.at + 2, self.to.port(), to.port())]
        {
            both.words(&old.to_be_bytes(), &new.to_be_bytes());
            packet[at..at + 2].copy_from_slice(&new.to_be_bytes());
        }
        sum.apply(&mut packet[10..12]);
        let place = self.at + if self.protocol == TCP { 16 } else { 6 };
        // A datagram may have none.
        if self.protocol == TCP || packet[place..place + 2] != [0, 0] {
            both.apply(&mut packet[place..place + 2]);
        }
    }
}

/// A change of a checksum, by what is changed (RFC 1624).
#[derive(Debug, Clone, Copy, Default)]
struct Change(u32);

impl Change {
    fn words(&mut self, old: &[u8], new: &[u8]) {
        for (old, new) in old.chunks_exact(2).zip(new.chunks_exact(2)) {
            self.0 += u32::from(!u16::from_be_bytes([old[0], old[1]]));
            self.0 += u32::from(u16::from_be_bytes([new[0], new[1]]));
        }
    }

    fn apply(self, place: &mut [u8]) {
        let sum = fold(self.0 + u32::from(!u16::from_be_bytes([place[0], place[1]])));
        place.copy_from_slice(&(!sum).to_be_bytes());
    }
}

fn fold(mut sum: u32) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // Folded to 16 bits.
    sum as u16
}

/// The internet's checksum (RFC 1071) over pieces of even length, the last aside.
fn checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for piece in pieces {
        for pair in piece.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or_default()]));
            sum = u32::from(fold(sum));
        }
    }
    !fold(sum)
}

/// A packet with the header of IPv4.
fn packet(protocol: u8, from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let mut all = vec![0; IP];
    all[0] = 0x45;
    // Nothing larger is made here.
    let length = u16::try_from(IP + payload.len()).unwrap_or(u16::MAX);
    all[2..4].copy_from_slice(&length.to_be_bytes());
    (all[6], all[8], all[9]) = (0x40, 64, protocol);
    all[12..16].copy_from_slice(&from.octets());
    all[16..20].copy_from_slice(&to.octets());
    let sum = checksum(&[&all]);
    all[10..12].copy_from_slice(&sum.to_be_bytes());
    all.extend_from_slice(payload);
    all
}

/// A datagram. None if it is too long for one.
pub(super) fn datagram(from: SocketAddrV4, to: SocketAddrV4, data: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(UDP_HEADER + data.len()).ok()?;
    u16::try_from(IP + usize::from(length)).ok()?;
    let mut payload = Vec::with_capacity(length.into());
    for number in [from.port(), to.port(), length, 0] {
        payload.extend(number.to_be_bytes());
    }
    payload.extend_from_slice(data);
    Some(packet(UDP, *from.ip(), *to.ip(), &payload))
}

/// The refusal of a connection that a packet opens.
pub(super) fn reset(header: &Header, opening: &[u8]) -> Option<Vec<u8>> {
    let sequence = u32::from_be_bytes(opening.get(header.at + 4..header.at + 8)?.try_into().ok()?);
    let (from, to) = (header.to, header.from);
    let mut payload = vec![0; TCP_HEADER];
    payload[0..2].copy_from_slice(&from.port().to_be_bytes());
    payload[2..4].copy_from_slice(&to.port().to_be_bytes());
    payload[8..12].copy_from_slice(&sequence.wrapping_add(1).to_be_bytes());
    (payload[12], payload[13]) = (5 << 4, RST | ACK);
    let pseudo =
        [&from.ip().octets()[..], &to.ip().octets(), &[0, TCP], &(TCP_HEADER as u16).to_be_bytes()].concat();
    let sum = checksum(&[&pseudo, &payload]);
    payload[16..18].copy_from_slice(&sum.to_be_bytes());
    Some(packet(TCP, *from.ip(), *to.ip(), &payload))
}

/// That there is no way to where a packet goes (RFC 792: host unreachable).
pub(super) fn unreachable(header: &Header, original: &[u8]) -> Option<Vec<u8>> {
    let mut payload = vec![3, 1, 0, 0, 0, 0, 0, 0];
    payload.extend_from_slice(original.get(..header.at + 8)?);
    let sum = checksum(&[&payload]);
    payload[2..4].copy_from_slice(&sum.to_be_bytes());
    Some(packet(ICMP, *header.to.ip(), *header.from.ip(), &payload))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn end() -> impl Strategy<Value = SocketAddrV4> {
        (any::<Ipv4Addr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddrV4::new(ip, port))
    }

    fn opening(from: SocketAddrV4, to: SocketAddrV4) -> Vec<u8> {
        let mut payload = vec![0; TCP_HEADER];
        payload[0..2].copy_from_slice(&from.port().to_be_bytes());
        payload[2..4].copy_from_slice(&to.port().to_be_bytes());
        payload[4..8].copy_from_slice(&[1, 2, 3, 4]);
        (payload[12], payload[13]) = (5 << 4, SYN);
        let sum = transport_sum(TCP, from, to, &payload);
        payload[16..18].copy_from_slice(&sum.to_be_bytes());
        packet(TCP, *from.ip(), *to.ip(), &payload)
    }

    fn transport_sum(protocol: u8, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> u16 {
        let length = (payload.len() as u16).to_be_bytes();
        checksum(&[&from.ip().octets(), &to.ip().octets(), &[0, protocol], &length, payload])
    }

    /// A sum over what has the right sum in it is zero.
    fn is_right(packet: &[u8]) -> bool {
        let header = Header::parse(packet).expect("a packet");
        checksum(&[&packet[..header.at]]) == 0
            && transport_sum(header.protocol, header.from, header.to, &packet[header.at..]) == 0
    }

    proptest! {
        #[test]
        fn a_packet_with_other_ends_has_them_and_right_sums(from in end(), to in end(), other in end(), another in end()) {
            let mut packet = opening(from, to);
            prop_assert!(is_right(&packet));
            let header = Header::parse(&packet).unwrap();
            prop_assert_eq!((header.from, header.to, header.opens), (from, to, true));
            header.redirect(&mut packet, other, another);
            prop_assert!(is_right(&packet));
            let header = Header::parse(&packet).unwrap();
            prop_assert_eq!((header.from, header.to), (other, another));
        }

        #[test]
        fn a_datagram_has_its_data_and_ends(from in end(), to in end(), data: Vec<u8>) {
            let packet = datagram(from, to, &data).unwrap();
            let header = Header::parse(&packet).unwrap();
            prop_assert_eq!((header.protocol, header.from, header.to), (UDP, from, to));
            prop_assert_eq!(header.data(&packet), Some(&data[..]));
            prop_assert_eq!(checksum(&[&packet[..IP]]), 0);
        }

        #[test]
        fn a_refusal_answers_what_it_refuses(from in end(), to in end()) {
            let opening = opening(from, to);
            let header = Header::parse(&opening).unwrap();
            let reset = reset(&header, &opening).unwrap();
            prop_assert!(is_right(&reset));
            let said = Header::parse(&reset).unwrap();
            prop_assert_eq!((said.from, said.to, said.opens), (to, from, false));
            prop_assert_eq!(&reset[IP + 8..IP + 12], &[1, 2, 3, 5]);
            let unreachable = unreachable(&header, &opening).unwrap();
            prop_assert_eq!(checksum(&[&unreachable[IP..]]), 0);
        }

        #[test]
        fn any_bytes_are_taken_without_a_fault(bytes: Vec<u8>) {
            let mut bytes = bytes;
            if bytes.len() >= 2 { bytes[0] = 0x45; }
            if bytes.len() >= 10 {
                let length = (bytes.len() as u16).to_be_bytes();
                bytes[2..4].copy_from_slice(&length);
                (bytes[6], bytes[7], bytes[9]) = (0, 0, if bytes[8] % 2 == 0 { TCP } else { UDP });
            }
            if let Some(header) = Header::parse(&bytes) {
                header.data(&bytes);
                reset(&header, &bytes);
                unreachable(&header, &bytes);
                header.redirect(&mut bytes, header.to, header.from);
            }
        }
    }
}

//! A descriptor's way from one process to another.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// Sends a descriptor, with one zero byte, over a unix socket.
///
/// # Errors
/// What the socket says.
pub fn send(socket: impl AsFd, descriptor: impl AsFd) -> io::Result<()> {
    let descriptors = [descriptor.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(socket, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Reads from a unix socket, as `read` does, and takes the descriptor that may come with the bytes.
///
/// # Errors
/// What the socket says: `WouldBlock` when it does not block and there is nothing.
pub fn receive(socket: impl AsFd, bytes: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok((message.bytes, descriptor))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixStream,
    };

    use super::*;

    #[test]
    fn a_descriptor_arrives_with_a_byte_and_bytes_after_it_come_without() {
        let (mut ours, theirs) = UnixStream::pair().expect("a pair");
        let (mut kept, given) = UnixStream::pair().expect("a pair");
        send(&ours, &given).expect("sent");
        drop(given);
        ours.write_all(b"more").expect("written");
        let mut bytes = [9; 16];
        let (read, descriptor) = receive(&theirs, &mut bytes).expect("received");
        assert_eq!((read, bytes[0]), (1, 0));
        UnixStream::from(descriptor.expect("a descriptor")).write_all(b"by hand").expect("written");
        let mut said = String::new();
        kept.read_to_string(&mut said).expect("read");
        assert_eq!(said, "by hand");
        let (read, descriptor) = receive(&theirs, &mut bytes).expect("received");
        assert_eq!(&bytes[..read], b"more");
        assert!(descriptor.is_none());
    }
}

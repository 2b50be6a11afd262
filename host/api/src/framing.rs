//! Docker's stream format: an 8-byte header before each piece of output without a terminal.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::HeaderValue;
use sockerless_engine::OutputStream;
use sockerless_ports::link::Output;

use crate::{limits, version::ApiVersion};

/// Bytes of a frame's header.
pub const HEADER: usize = 8;

const STDOUT: u8 = 1;
const STDERR: u8 = 2;
/// The daemon's own word in a stream, which clients report as an error.
const SYSTEM: u8 = 3;

/// The content type of output: told apart since API 1.42.
pub fn content_type(tty: bool, version: ApiVersion) -> HeaderValue {
    if !tty && version >= ApiVersion::new(1, 42) {
        HeaderValue::from_static("application/vnd.docker.multiplexed-stream")
    } else {
        HeaderValue::from_static("application/vnd.docker.raw-stream")
    }
}

/// Which form the bytes take on their way to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As they are.
    Raw,
    /// With a header before each piece.
    Frames,
}

impl Form {
    /// The form of a container's output.
    pub fn of(output: &OutputStream) -> Self {
        if output.tty { Self::Raw } else { Self::Frames }
    }
}

/// A container's output, ready to be written: pieces that are there together go together.
pub struct Encoded {
    source: OutputStream,
    form: Form,
    buffer: BytesMut,
    ended: bool,
}

impl Encoded {
    /// Encodes in a form.
    pub fn new(source: OutputStream, form: Form) -> Self {
        Self { source, form, buffer: BytesMut::new(), ended: false }
    }

    fn put(&mut self, kind: u8, payload: &[u8]) {
        // A header counts in 32 bits; no piece in memory is that long, but a split costs nothing.
        for part in payload.chunks(u32::MAX as usize) {
            self.buffer.reserve(HEADER + part.len());
            if self.form == Form::Frames {
                self.buffer.put_slice(&[kind, 0, 0, 0]);
                self.buffer.put_u32(u32::try_from(part.len()).unwrap_or(u32::MAX));
            }
            self.buffer.put_slice(part);
        }
    }
}

impl Stream for Encoded {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        while !self.ended && self.buffer.len() < limits::OUTPUT_PIECE {
            match self.source.chunks.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(chunk))) => {
                    if self.form == Form::Raw
                        && self.buffer.is_empty()
                        && chunk.bytes.len() >= limits::OUTPUT_PIECE / 2
                    {
                        return Poll::Ready(Some(chunk.bytes));
                    }
                    let kind = match chunk.output {
                        Output::Stdout => STDOUT,
                        Output::Stderr => STDERR,
                    };
                    self.put(kind, &chunk.bytes);
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::error!(%error, "output broke off");
                    self.put(SYSTEM, format!("Error grabbing logs: {error}\n").as_bytes());
                    self.ended = true;
                }
                Poll::Ready(None) => self.ended = true,
                Poll::Pending if self.buffer.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        if self.buffer.is_empty() {
            Poll::Ready(None)
        } else {
            Poll::Ready(Some(self.buffer.split().freeze()))
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, stream};
    use proptest::prelude::*;
    use sockerless_engine::{Error, ErrorKind, OutputChunk};

    use super::*;

    fn output(kind: u8) -> Output {
        if kind == STDERR { Output::Stderr } else { Output::Stdout }
    }

    fn encode(chunks: &[(u8, Vec<u8>)], form: Form) -> Vec<u8> {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|(kind, bytes)| {
                Ok(OutputChunk { output: output(*kind), bytes: Bytes::copy_from_slice(bytes) })
            })
            .collect();
        let source = OutputStream { tty: false, chunks: stream::iter(chunks).boxed() };
        let pieces: Vec<Bytes> = Encoded::new(source, form).collect().now_or_never().unwrap();
        pieces.concat()
    }

    /// As a client reads it.
    fn decode(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut frames: Vec<(u8, Vec<u8>)> = Vec::new();
        while !bytes.is_empty() {
            assert_eq!(bytes[1..4], [0, 0, 0]);
            let length = u32::from_be_bytes(bytes[4..8].try_into().unwrap()) as usize;
            frames.push((bytes[0], bytes[HEADER..HEADER + length].to_vec()));
            bytes = &bytes[HEADER + length..];
        }
        frames
    }

    proptest! {
        #[test]
        fn a_client_reads_back_every_frame(
            chunks in prop::collection::vec((STDOUT..=STDERR, prop::collection::vec(any::<u8>(), 1..300)), 0..300)
        ) {
            prop_assert_eq!(decode(&encode(&chunks, Form::Frames)), chunks);
        }

        #[test]
        fn raw_output_is_the_bytes_alone(
            chunks in prop::collection::vec((STDOUT..=STDERR, prop::collection::vec(any::<u8>(), 0..400)), 0..8)
        ) {
            let expected: Vec<u8> = chunks.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
            prop_assert_eq!(encode(&chunks, Form::Raw), expected);
        }
    }

    #[test]
    fn a_large_raw_piece_goes_on_as_it_is() {
        let bytes = vec![7; limits::OUTPUT_PIECE];
        assert_eq!(
            encode(&[(STDOUT, vec![1]), (STDOUT, bytes.clone()), (STDERR, bytes.clone())], Form::Raw),
            [vec![1], bytes.clone(), bytes].concat()
        );
    }

    #[test]
    fn the_frame_is_the_one_of_the_recorded_session() {
        assert_eq!(
            encode(&[(STDOUT, b"from-stdin\n".to_vec())], Form::Frames),
            b"\x01\x00\x00\x00\x00\x00\x00\x0bfrom-stdin\n"
        );
    }

    #[test]
    fn what_is_there_goes_out_before_more_is_awaited() {
        let first = OutputChunk { output: Output::Stdout, bytes: Bytes::from_static(b"a") };
        let chunks = stream::iter([Ok(first)]).chain(stream::pending()).boxed();
        let mut encoded = Encoded::new(OutputStream { tty: false, chunks }, Form::Frames);
        assert_eq!(
            encoded.next().now_or_never().unwrap().unwrap(),
            b"\x01\x00\x00\x00\x00\x00\x00\x01a".as_slice()
        );
        assert!(encoded.next().now_or_never().is_none());
    }

    #[test]
    fn an_error_in_the_stream_is_the_daemons_own_frame() {
        let error = Error::new(ErrorKind::Internal, "disk on fire");
        let source = OutputStream { tty: false, chunks: stream::iter([Err(error)]).boxed() };
        let pieces: Vec<Bytes> = Encoded::new(source, Form::Frames).collect().now_or_never().unwrap();
        assert_eq!(decode(&pieces.concat()), [(SYSTEM, b"Error grabbing logs: disk on fire\n".to_vec())]);
    }

    #[test]
    fn the_content_type_depends_on_terminal_and_version() {
        let text = |tty, minor| content_type(tty, ApiVersion::new(1, minor)).to_str().unwrap().to_owned();
        assert_eq!(text(false, 42), "application/vnd.docker.multiplexed-stream");
        assert_eq!(text(true, 42), "application/vnd.docker.raw-stream");
        assert_eq!(text(false, 41), "application/vnd.docker.raw-stream");
    }
}

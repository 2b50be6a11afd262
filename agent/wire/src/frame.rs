//! Frames, and how they stand in a WebSocket message.
//!
//! A frame begins with 17 bytes, big endian: kind (1), stream (4), offset (8), and the payload's length or the credit (4).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::Serialize;

use crate::limits;

const HEADER: usize = 17;

const CONTROL: u8 = 0;
const DATA: u8 = 1;
const FINISH: u8 = 2;
const ACKNOWLEDGE: u8 = 3;
const STOP: u8 = 4;
const ALIVE: u8 = 5;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A [`crate::FromAgent`] or [`crate::FromDaemon`] as JSON.
    Control(Bytes),
    /// Bytes of a stream, of which the first has the offset. Never empty.
    Data {
        /// The stream.
        stream: u32,
        /// Of the first byte.
        offset: u64,
        /// At most [`limits::DATA`].
        bytes: Bytes,
    },
    /// The stream's sender has no more: the stream is `offset` bytes long.
    Finish {
        /// The stream.
        stream: u32,
        /// Its length.
        offset: u64,
    },
    /// The stream's receiver has dealt with the first `offset` bytes and takes `credit` more.
    Acknowledge {
        /// The stream.
        stream: u32,
        /// Bytes dealt with.
        offset: u64,
        /// Bytes that may follow them.
        credit: u32,
    },
    /// The stream's receiver takes no more.
    Stop {
        /// The stream.
        stream: u32,
    },
    /// Nothing but a sign of life.
    Alive,
}

/// A message that is not made of frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The message ends within a frame.
    #[error("a frame is cut short")]
    Short,
    /// A kind that no agreed version has.
    #[error("there is no frame of kind {0}")]
    Kind(u8),
    /// More than a frame may carry, or nothing.
    #[error("a frame of {0} bytes")]
    Size(usize),
    /// A control message that cannot be read.
    #[error("unreadable message: {0}")]
    Message(String),
}

impl Frame {
    /// Appends the frame to a message.
    pub fn encode(&self, message: &mut BytesMut) {
        match self {
            Self::Control(bytes) => {
                header(message, CONTROL, 0, 0, bytes.len() as u32);
                message.extend_from_slice(bytes);
            }
            Self::Data { stream, offset, bytes } => {
                header(message, DATA, *stream, *offset, bytes.len() as u32);
                message.extend_from_slice(bytes);
            }
            Self::Finish { stream, offset } => header(message, FINISH, *stream, *offset, 0),
            Self::Acknowledge { stream, offset, credit } => {
                header(message, ACKNOWLEDGE, *stream, *offset, *credit)
            }
            Self::Stop { stream } => header(message, STOP, *stream, 0, 0),
            Self::Alive => header(message, ALIVE, 0, 0, 0),
        }
    }

    /// Makes the frame of a control message; an error if it is larger than one may be.
    pub fn control(message: &impl Serialize) -> Result<Self, FrameError> {
        let json = serde_json::to_vec(message).map_err(|error| FrameError::Message(error.to_string()))?;
        if json.len() > limits::CONTROL {
            return Err(FrameError::Size(json.len()));
        }
        Ok(Self::Control(json.into()))
    }
}

fn header(message: &mut BytesMut, kind: u8, stream: u32, offset: u64, length: u32) {
    message.put_u8(kind);
    message.put_u32(stream);
    message.put_u64(offset);
    message.put_u32(length);
}

/// Appends the header of a data frame whose bytes the caller appends; gives what [`finish_data`] wants.
pub(crate) fn begin_data(message: &mut BytesMut, stream: u32, offset: u64) -> usize {
    header(message, DATA, stream, offset, 0);
    message.len()
}

/// Writes the length of the data frame that [`begin_data`] began.
pub(crate) fn finish_data(message: &mut BytesMut, start: usize) {
    let length = (message.len() - start) as u32;
    message[start - 4..start].copy_from_slice(&length.to_be_bytes());
}

/// The frames of one message, in order. Payloads share the message's memory.
#[derive(Debug)]
pub struct Frames(Bytes);

impl Frames {
    /// Reads a WebSocket message.
    pub fn new(message: Bytes) -> Self {
        Self(message)
    }

    fn read(&mut self) -> Result<Frame, FrameError> {
        if self.0.len() < HEADER {
            return Err(FrameError::Short);
        }
        let kind = self.0.get_u8();
        let stream = self.0.get_u32();
        let offset = self.0.get_u64();
        let number = self.0.get_u32();
        match kind {
            CONTROL => Ok(Frame::Control(self.payload(number, limits::CONTROL)?)),
            DATA => {
                let bytes = self.payload(number, limits::DATA)?;
                // No offset may wrap, whatever a peer says.
                if bytes.is_empty() || offset.checked_add(bytes.len() as u64).is_none() {
                    return Err(FrameError::Size(bytes.len()));
                }
                Ok(Frame::Data { stream, offset, bytes })
            }
            FINISH => Ok(Frame::Finish { stream, offset }),
            ACKNOWLEDGE => Ok(Frame::Acknowledge { stream, offset, credit: number }),
            STOP => Ok(Frame::Stop { stream }),
            ALIVE => Ok(Frame::Alive),
            other => Err(FrameError::Kind(other)),
        }
    }

    fn payload(&mut self, length: u32, most: usize) -> Result<Bytes, FrameError> {
        let length = length as usize;
        if length > most {
            return Err(FrameError::Size(length));
        }
        if length > self.0.len() {
            return Err(FrameError::Short);
        }
        Ok(self.0.split_to(length))
    }
}

impl Iterator for Frames {
    type Item = Result<Frame, FrameError>;

    /// After an error there is nothing more to read.
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let frame = self.read();
        if frame.is_err() {
            self.0.clear();
        }
        Some(frame)
    }
}

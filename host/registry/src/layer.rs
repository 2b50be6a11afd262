//! A layer on its way in: stored compressed, hashed both ways, in one pass and constant memory.

use std::io::{self, BufWriter, Cursor, Read, Write};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use sockerless_ports::registry::ImageError;

use crate::{
    blobs::{Blobs, Staged},
    digest::{Sum, SumWriter, Tee},
    manifest, tuning,
};

/// A layer in a file that is not yet kept.
#[derive(Debug)]
pub struct Layer {
    /// The file.
    pub file: Staged,
    /// `sha256:…` of the file.
    pub digest: String,
    /// Bytes of the file.
    pub size: u64,
    /// `sha256:…` as it came.
    pub came_as: String,
    /// `sha256:…` uncompressed; none when this cannot be told (zstd).
    pub diff_id: Option<String>,
    /// Of the file.
    pub media_type: String,
    /// The first 512 bytes uncompressed.
    pub head: Vec<u8>,
}

impl Layer {
    /// Whether the file is what came, byte for byte.
    pub fn is_unchanged(&self) -> bool {
        self.came_as == self.digest
    }

    /// Reads a tar, plain or in gzip (zstd is kept as it is). Other compressions are refused.
    pub fn read(reader: &mut dyn Read, blobs: &Blobs) -> Result<Self, ImageError> {
        let mut head = Vec::new();
        (&mut *reader).take(6).read_to_end(&mut head).map_err(broken)?;
        let compression = Kind::of(&head);
        let (file, staged) = blobs.stage().map_err(local)?;
        let mut input = Cursor::new(head).chain(reader);
        let file = SumWriter::new(BufWriter::with_capacity(256 << 10, file));
        match compression {
            Kind::Plain => {
                let mut tee = Tee { reader: input, writer: Spread::default() };
                let mut encoder = GzEncoder::new(file, Compression::new(tuning::GZIP_LEVEL));
                io::copy(&mut tee, &mut encoder).map_err(broken)?;
                let plain = tee.writer;
                let (mut file, sum) = encoder.finish().map_err(local)?.into_parts();
                file.flush().map_err(local)?;
                let diff = plain.sum.finish();
                Ok(Self::new(staged, sum, diff.clone(), Some(diff), manifest::OCI_LAYER, plain.head))
            }
            Kind::Gzip => {
                let mut decoder = MultiGzDecoder::new(Tee { reader: input, writer: file });
                let mut plain = Spread::default();
                io::copy(&mut decoder, &mut plain).map_err(broken)?;
                let mut tee = decoder.into_inner();
                io::copy(&mut tee, &mut io::sink()).map_err(broken)?;
                let (mut file, sum) = tee.writer.into_parts();
                file.flush().map_err(local)?;
                let came_as = sum.clone().finish();
                Ok(Self::new(staged, sum, came_as, Some(plain.sum.finish()), manifest::OCI_LAYER, plain.head))
            }
            Kind::Zstd => {
                let mut file = file;
                io::copy(&mut input, &mut file).map_err(broken)?;
                let (mut file, sum) = file.into_parts();
                file.flush().map_err(local)?;
                let came_as = sum.clone().finish();
                let media_type = "application/vnd.oci.image.layer.v1.tar+zstd";
                Ok(Self::new(staged, sum, came_as, None, media_type, Vec::new()))
            }
            Kind::Other(name) => Err(ImageError::Invalid(format!(
                "{name} compression is not supported: pass the archive plain or compressed with gzip"
            ))),
        }
    }

    fn new(
        file: Staged,
        sum: Sum,
        came_as: String,
        diff_id: Option<String>,
        media_type: &str,
        head: Vec<u8>,
    ) -> Self {
        let size = sum.bytes;
        Self { file, digest: sum.finish(), size, came_as, diff_id, media_type: media_type.into(), head }
    }

    /// Its entry in a manifest.
    pub fn descriptor(&self) -> manifest::Descriptor {
        manifest::Descriptor {
            media_type: self.media_type.clone(),
            digest: self.digest.clone(),
            size: self.size,
            ..manifest::Descriptor::default()
        }
    }
}

/// How something is compressed, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Not.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// Known by name only.
    Other(&'static str),
}

impl Kind {
    /// Looks at six bytes.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0] => Self::Other("xz"),
            [b'B', b'Z', b'h', ..] => Self::Other("bzip2"),
            _ => Self::Plain,
        }
    }
}

/// Hashes, and remembers the beginning.
#[derive(Default)]
struct Spread {
    sum: Sum,
    head: Vec<u8>,
}

impl Write for Spread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = 512 - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.sum.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The client's archive ends early or is no archive; or the disk is full, which has its own code.
pub fn broken(error: io::Error) -> ImageError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::PermissionDenied => {
            local(error)
        }
        io::ErrorKind::UnexpectedEof => {
            ImageError::Invalid("the archive ends in the middle: unexpected EOF".into())
        }
        _ => ImageError::Invalid(format!("the archive cannot be read: {error}")),
    }
}

/// This machine's disk.
pub fn local(error: io::Error) -> ImageError {
    ImageError::Internal(format!("storing a layer: {error}"))
}

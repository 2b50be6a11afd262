//! SHA-256 digests in their written form, and bytes that are hashed as they pass.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

/// `sha256:…` of the bytes.
pub fn of(bytes: &[u8]) -> String {
    written(Sha256::digest(bytes).as_slice())
}

fn written(sum: &[u8]) -> String {
    format!("sha256:{}", hex::encode(sum))
}

/// The 64 digits, if it is a SHA-256 digest in its written form.
pub fn digits(digest: &str) -> Option<&str> {
    digest.strip_prefix("sha256:").filter(|digits| is_digits(digits))
}

/// Whether these are the 64 digits of a SHA-256.
pub fn is_digits(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// A sum that grows.
#[derive(Clone, Default)]
pub struct Sum {
    hash: Sha256,
    /// Bytes so far.
    pub bytes: u64,
}

impl Sum {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// `sha256:…` of all bytes.
    pub fn finish(self) -> String {
        written(self.hash.finalize().as_slice())
    }
}

impl Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hashes what is written through it.
pub struct SumWriter<W> {
    inner: W,
    /// The sum so far.
    pub sum: Sum,
}

impl<W: Write> SumWriter<W> {
    /// Nothing yet.
    pub fn new(inner: W) -> Self {
        Self { inner, sum: Sum::default() }
    }

    /// The writer and the sum.
    pub fn into_parts(self) -> (W, Sum) {
        (self.inner, self.sum)
    }
}

impl<W: Write> Write for SumWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.sum.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Copies what is read through it to a writer.
pub struct Tee<R, W> {
    /// Where it comes from.
    pub reader: R,
    /// Where it goes as well.
    pub writer: W,
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.writer.write_all(&buffer[..n])?;
        Ok(n)
    }
}

//! `multipart/related` with two parts: metadata, then content, which is streamed.

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::content::received;
use super::error::{Result, StorageError};
use crate::limits;

/// An upload whose metadata has been read.
pub struct Related {
    stream: BodyDataStream,
    buffer: BytesMut,
    /// `\r\n--boundary`
    delimiter: Vec<u8>,
    ended: bool,
    /// The first part.
    pub metadata: Bytes,
    /// The second part's type.
    pub content_type: Option<String>,
}

fn malformed(what: &str) -> StorageError {
    StorageError::invalid(format!("Malformed multipart body: {what}."))
}

impl Related {
    /// Reads up to the second part's content.
    pub async fn begin(content_type: &str, body: Body) -> Result<Self> {
        let boundary = boundary(content_type).ok_or_else(|| malformed("the boundary is missing"))?;
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        let mut related = Self {
            stream: body.into_data_stream(),
            // So that the first delimiter looks like the others.
            buffer: BytesMut::from(&b"\r\n"[..]),
            delimiter,
            ended: false,
            metadata: Bytes::new(),
            content_type: None,
        };
        let delimiter = related.delimiter.clone();
        related.until(&delimiter).await?;
        related.until(b"\r\n").await?;
        related.headers().await?;
        related.metadata = related.until(&delimiter).await?;
        related.until(b"\r\n").await?;
        related.content_type = related.headers().await?;
        Ok(related)
    }

    /// The next piece of the content; none at its end.
    ///
    /// # Errors
    /// 400 when the body ends without its closing delimiter.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        // The closing delimiter and what may follow it stay in the buffer until the end is known.
        let tail = self.delimiter.len() + 16;
        while !self.ended && self.buffer.len() <= tail {
            self.fill().await?;
        }
        if !self.ended {
            let ready = self.buffer.len() - tail;
            return Ok(Some(self.buffer.split_to(ready).freeze()));
        }
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let at = rfind(&self.buffer, &self.delimiter)
            .ok_or_else(|| malformed("the closing delimiter is missing"))?;
        if !self.buffer[at + self.delimiter.len()..].starts_with(b"--") {
            return Err(malformed("there are more than two parts"));
        }
        let rest = self.buffer.split_to(at).freeze();
        self.buffer.clear();
        Ok(if rest.is_empty() { None } else { Some(rest) })
    }

    async fn fill(&mut self) -> Result<()> {
        match self.stream.next().await {
            Some(chunk) => self.buffer.extend_from_slice(&received(chunk)?),
            None => self.ended = true,
        }
        Ok(())
    }

    /// Takes what is before a mark, and the mark away.
    async fn until(&mut self, mark: &[u8]) -> Result<Bytes> {
        loop {
            if let Some(at) = find(&self.buffer, mark) {
                let before = self.buffer.split_to(at).freeze();
                let _mark = self.buffer.split_to(mark.len());
                return Ok(before);
            }
            if self.ended || self.buffer.len() > limits::OBJECT_METADATA {
                return Err(malformed("a part is incomplete"));
            }
            self.fill().await?;
        }
    }

    /// Takes a part's headers away and gives its type.
    async fn headers(&mut self) -> Result<Option<String>> {
        let mut kind = None;
        loop {
            let line = self.until(b"\r\n").await?;
            if line.is_empty() {
                return Ok(kind);
            }
            let line = String::from_utf8_lossy(&line).into_owned();
            if let Some((name, value)) = line.split_once(':')
                && name.trim().eq_ignore_ascii_case("content-type")
            {
                kind = Some(value.trim().to_owned());
            }
        }
    }
}

/// The boundary of a multipart type, quoted or not.
pub fn boundary(content_type: &str) -> Option<String> {
    let rest = content_type.split(';').find_map(|part| {
        let (name, value) = part.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then_some(value)
    })?;
    let boundary = rest.trim().trim_matches(['"', '\'']).to_owned();
    (!boundary.is_empty() && boundary.len() <= 70).then_some(boundary)
}

fn find(text: &[u8], mark: &[u8]) -> Option<usize> {
    text.windows(mark.len()).position(|window| window == mark)
}

fn rfind(text: &[u8], mark: &[u8]) -> Option<usize> {
    text.windows(mark.len()).rposition(|window| window == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &'static [u8], block: usize) -> Result<(Bytes, Option<String>, Vec<u8>)> {
        let chunks: Vec<std::result::Result<Bytes, std::io::Error>> =
            text.chunks(block).map(|chunk| Ok(Bytes::from_static(chunk))).collect();
        let body = Body::from_stream(futures_util::stream::iter(chunks));
        let mut related = Related::begin("multipart/related; boundary=\"xx\"", body).await?;
        let mut content = Vec::new();
        while let Some(bytes) = related.next().await? {
            content.extend_from_slice(&bytes);
        }
        Ok((related.metadata.clone(), related.content_type.clone(), content))
    }

    #[tokio::test]
    async fn metadata_and_content_are_told_apart_however_the_body_is_cut() {
        const TEXT: &[u8] = b"--xx\r\ncontent-type: application/json\r\n\r\n{\"name\":\"a\"}\r\n--xx\r\nContent-Type: text/plain\r\n\r\none\r\n--x\r\ntwo\r\n\r\n--xx--\r\n";
        for block in [1, 2, 7, 1_000] {
            let (metadata, kind, content) = read(TEXT, block).await.unwrap();
            assert_eq!(&metadata[..], b"{\"name\":\"a\"}");
            assert_eq!(kind.as_deref(), Some("text/plain"));
            assert_eq!(content, b"one\r\n--x\r\ntwo\r\n");
        }
    }

    #[tokio::test]
    async fn an_empty_content_is_empty_and_a_cut_one_is_refused() {
        let (_, _, content) = read(b"--xx\r\n\r\n{}\r\n--xx\r\n\r\n\r\n--xx--", 5).await.unwrap();
        assert!(content.is_empty());
        assert!(read(b"--xx\r\n\r\n{}\r\n--xx\r\n\r\nhalf", 5).await.is_err());
        assert!(read(b"--xx\r\n\r\n{}", 5).await.is_err());
    }
}

//! A member of an archive, as far as a file system knows it.

use serde::{Deserialize, Serialize};

/// The name of an extended attribute.
pub(super) type Attribute = String;

/// What a thing in a file system is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    #[default]
    File,
    Directory,
    Symlink,
    Character,
    Block,
    Fifo,
}

/// All of a thing but its name and its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    pub kind: Kind,
    /// Permissions with setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Bytes; 0 for all but files.
    pub size: u64,
    /// Seconds since 1970, and nanoseconds.
    pub modified: (i64, u32),
    /// Where a symbolic link leads.
    #[serde(with = "text", default, skip_serializing_if = "Vec::is_empty")]
    pub target: Vec<u8>,
    /// Major and minor.
    #[serde(default)]
    pub device: (u32, u32),
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<(Attribute, Vec<u8>)>,
}

impl Meta {
    /// A directory that nobody described.
    pub fn directory() -> Self {
        Self { kind: Kind::Directory, mode: 0o755, ..Self::default() }
    }

    /// `st_mode`.
    pub fn st_mode(&self) -> u32 {
        let kind = match self.kind {
            Kind::File => 0o100_000,
            Kind::Directory => 0o040_000,
            Kind::Symlink => 0o120_000,
            Kind::Character => 0o020_000,
            Kind::Block => 0o060_000,
            Kind::Fifo => 0o010_000,
        };
        kind | self.mode
    }
}

/// What a member stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum What {
    /// A thing of its own.
    Thing(Meta),
    /// Another name of a thing in the same archive.
    Hard(#[serde(with = "text")] Vec<u8>),
    /// Nothing that a file system holds.
    Other,
}

/// A member of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    /// As it stands in the archive.
    #[serde(with = "text")]
    pub name: Vec<u8>,
    pub what: What,
}

/// Bytes as text: nearly all names are UTF-8, the others are written in hexadecimal digits after a zero, which no name has.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.serialize_str(&format!("\0{}", hex::encode(bytes))),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.strip_prefix('\0') {
            Some(digits) => hex::decode(digits).map_err(D::Error::custom),
            None => Ok(text.into_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_text_are_kept_all_the_same() {
        for name in [&b"plain"[..], "ü".as_bytes(), b"\xff\xfe", b""] {
            let member = Member { name: name.to_vec(), what: What::Hard(name.to_vec()) };
            let json = serde_json::to_string(&member).unwrap();
            assert_eq!(serde_json::from_str::<Member>(&json).unwrap(), member);
        }
    }
}

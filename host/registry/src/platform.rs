//! Operating system and processor.

use std::fmt;

use sockerless_ports::registry::ImageError;

use crate::manifest::{Descriptor, PlatformSpec};

/// `linux/arm64/v8`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub architecture: String,
    /// `v8`; empty when it does not matter.
    pub variant: String,
}

impl Default for Platform {
    /// What every cloud runs: `linux/amd64`.
    fn default() -> Self {
        Self { os: "linux".into(), architecture: "amd64".into(), variant: String::new() }
    }
}

impl Platform {
    /// Reads `os/architecture[/variant]`, or an architecture alone for Linux.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let parts: Vec<&str> = text.split('/').collect();
        let proper = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-' || b == b'.')
        };
        if parts.len() > 3 || !parts.iter().all(proper) {
            return Err(ImageError::Invalid(format!(
                "\"{text}\": invalid platform: os/architecture[/variant] is expected"
            )));
        }
        let (os, architecture, variant) = match parts[..] {
            [one] if ["linux", "windows", "darwin", "freebsd"].contains(&one) => (one, "amd64", ""),
            [one] => ("linux", one, ""),
            [os, architecture] => (os, architecture, ""),
            _ => (parts[0], parts[1], parts[2]),
        };
        let architecture = match architecture.to_lowercase().as_str() {
            "x86_64" | "x86-64" => "amd64".into(),
            "aarch64" => "arm64".into(),
            other => other.to_owned(),
        };
        Ok(Self { os: os.to_lowercase(), architecture, variant: variant.to_lowercase() })
    }

    /// Whether something for that platform runs on this one.
    pub fn takes(&self, os: &str, architecture: &str, variant: &str) -> bool {
        // arm64 has one variant in use, which is seldom written.
        let plain = |variant: &str| match (architecture, variant) {
            ("arm64", "v8") => String::new(),
            _ => variant.to_owned(),
        };
        self.os == os
            && self.architecture == architecture
            && (self.variant.is_empty() || plain(&self.variant) == plain(variant))
    }

    /// The manifest of a list that is for this platform.
    pub fn choose<'a>(&self, manifests: &'a [Descriptor]) -> Option<&'a Descriptor> {
        manifests.iter().find(|entry| {
            let spec = entry.platform.as_ref();
            spec.is_some_and(|PlatformSpec { os, architecture, variant }| {
                self.takes(os, architecture, variant)
            })
        })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

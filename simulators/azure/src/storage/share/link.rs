//! Symbolic links as the SMB client keeps them on servers that have none: `mfsymlinks` (fs/smb/client/link.c).

use std::fs;
use std::io;
use std::path::Path;

/// Bytes of such a file, always.
const SIZE: usize = 1_067;
/// Bytes of its head: `XSym\n`, four digits, a newline, 32 hexadecimal digits, a newline.
const HEAD: usize = 43;
/// Bytes of the target at most.
pub const TARGET: usize = 1_024;

/// What a link to a target is kept as. The sum in the head is of the target's MD5 in the client; readers here and there look at
/// form and length, so it stays zero.
pub fn encode(target: &str) -> Vec<u8> {
    let mut content = format!("XSym\n{:04}\n{}\n{target}\n", target.len(), "0".repeat(32)).into_bytes();
    content.resize(SIZE, b' ');
    content
}

/// The target that a file stands for, if it is a link.
pub fn decode(content: &[u8]) -> Option<String> {
    if content.len() != SIZE || !content.starts_with(b"XSym\n") {
        return None;
    }
    let length: usize = std::str::from_utf8(content.get(5..9)?).ok()?.parse().ok()?;
    let target = content.get(HEAD..HEAD.checked_add(length)?)?;
    String::from_utf8(target.to_vec()).ok()
}

/// The target of a link on this disk; none for any other file.
pub fn read(path: &Path, size: u64) -> io::Result<Option<String>> {
    if size != SIZE as u64 {
        return Ok(None);
    }
    Ok(decode(&fs::read(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_survives_the_way_through_its_file() {
        let content = encode("../some/where");
        assert_eq!(content.len(), SIZE);
        assert_eq!(decode(&content).as_deref(), Some("../some/where"));
        assert_eq!(decode(b"XSym\n"), None);
        assert_eq!(decode(&vec![b' '; SIZE]), None);
    }
}

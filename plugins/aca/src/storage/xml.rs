//! The little of XML that Azure Files answers with: elements with text, and lists of them. Namespaces, comments and
//! CDATA do not occur.

use super::files::Folder;

/// The text of the first element of a name, without its entities; none when there is none, or it is empty.
pub fn text(document: &str, name: &str) -> Option<String> {
    let (inside, _) = element(document, name)?;
    Some(unescape(inside)).filter(|text| !text.is_empty())
}

/// A page of a folder's listing, and where the next begins.
pub fn folder(document: &str) -> (Folder, Option<String>) {
    let mut folder = Folder::default();
    let (entries, after) = element(document, "Entries").unwrap_or(("", document));
    for entry in all(entries, "Directory") {
        folder.folders.extend(name(entry));
    }
    for entry in all(entries, "File") {
        let size = text(entry, "Content-Length").and_then(|size| size.parse().ok()).unwrap_or(0);
        folder.files.extend(name(entry).map(|name| (name, size)));
    }
    (folder, text(after, "NextMarker"))
}

/// An entry's name; one that XML cannot hold is percent-encoded, and says so.
fn name(entry: &str) -> Option<String> {
    let encoded = entry.contains("<Name Encoded=\"true\"");
    let name = text(entry, "Name")?;
    if encoded { Some(decode(&name)) } else { Some(name) }
}

fn all<'a>(mut document: &'a str, name: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    while let Some((inside, after)) = element(document, name) {
        found.push(inside);
        document = after;
    }
    found
}

/// What is inside the first element of a name, and what comes after it. Elements of one name do not contain each other.
fn element<'a>(document: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let open = format!("<{name}");
    let mut from = 0;
    loop {
        let at = from + document.get(from..)?.find(&open)?;
        let rest = &document[at + open.len()..];
        // `<File` is also how `<FileId` begins.
        if !rest.starts_with([' ', '>', '/']) {
            from = at + open.len();
            continue;
        }
        let end = rest.find('>')?;
        let after = &rest[end + 1..];
        if rest[..end].ends_with('/') {
            return Some(("", after));
        }
        let close = format!("</{name}>");
        let length = after.find(&close)?;
        return Some((&after[..length], &after[length + close.len()..]));
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(';').filter(|end| *end <= 10);
        let known = end.and_then(|end| Some((character(&rest[1..end])?, end)));
        match known {
            Some((character, end)) => {
                out.push(character);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn character(entity: &str) -> Option<char> {
    Some(match entity {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    })
}

/// Takes percent-encoding away.
pub fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let digits = (byte == b'%').then(|| [ahead.next(), ahead.next()]);
        let digit =
            |digit: Option<u8>| char::from(digit?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match digits.and_then(|[high, low]| Some(digit(high)? * 16 + digit(low)?)) {
            Some(decoded) => {
                out.push(decoded);
                bytes = ahead;
            }
            None => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sockerless_plugin_sdk::url;

    use super::*;

    #[test]
    fn a_listing_has_folders_files_and_a_marker() {
        let document = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ShareName=\"s\">\
            <DirectoryId>1</DirectoryId><Entries>\
            <File><FileId>2</FileId><Name>a &amp; b</Name><Properties><Content-Length>12</Content-Length></Properties></File>\
            <Directory><Name>sub</Name><FileId>3</FileId><Properties /></Directory>\
            <File><Name Encoded=\"true\">%EF%BF%BE.txt</Name><Properties><Content-Length>0</Content-Length></Properties></File>\
            </Entries><NextMarker>next</NextMarker></EnumerationResults>";
        let (folder, next) = folder(document);
        assert_eq!(folder.folders, ["sub"]);
        assert_eq!(folder.files, [("a & b".to_owned(), 12), ("\u{fffe}.txt".to_owned(), 0)]);
        assert_eq!(next.as_deref(), Some("next"));
    }

    #[test]
    fn an_empty_folder_has_nothing_and_no_next() {
        for document in ["<EnumerationResults><Entries /><NextMarker /></EnumerationResults>", "", "<html>"] {
            assert_eq!(folder(document), (Folder::default(), None));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(document in ".*", name in "[A-Z][a-z]{0,3}") {
            let _ = (folder(&document), text(&document, &name));
        }

        #[test]
        fn what_was_escaped_comes_back(value in ".*") {
            let escaped = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            prop_assert_eq!(text(&format!("<X>{escaped}</X>"), "X"), Some(value.clone()).filter(|value| !value.is_empty()));
            prop_assert_eq!(decode(&url::encode(&value)), value);
        }
    }
}

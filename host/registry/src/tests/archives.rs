//! Builds archives as `docker save` and others write them.

use std::io::Write;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use sockerless_ports::registry::Archive;

use crate::digest;

/// A tar of these files; a value that begins with `->` is a symbolic link.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        if let Some(target) = content.strip_prefix(b"->") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            builder.append_link(&mut header, path, std::str::from_utf8(target).unwrap()).unwrap();
        } else {
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, path, *content).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// As a client sends it: in pieces.
pub fn sent(bytes: Vec<u8>) -> Archive {
    let pieces: Vec<_> = bytes.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces).boxed()
}

pub fn layer(name: &str) -> Vec<u8> {
    tar(&[(name, format!("content of {name}\n").repeat(100).as_bytes())])
}

pub fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<String> = layers.iter().map(|layer| digest::of(layer)).collect();
    json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}})
    .to_string()
    .into_bytes()
}

/// The old form of `docker save`: the second layer is a link when it equals the first.
pub fn docker(tags: &[&str], layers: &[&[u8]]) -> Vec<u8> {
    let config = config(layers);
    let name = format!("{}.json", &digest::of(&config)[7..]);
    let paths: Vec<String> = (0..layers.len()).map(|at| format!("{at}/layer.tar")).collect();
    let manifest = json!([{"Config": name, "RepoTags": tags, "Layers": paths}]).to_string();
    let mut files: Vec<(&str, &[u8])> = vec![];
    for (at, layer) in layers.iter().enumerate() {
        let first = layers.iter().position(|other| other == layer).unwrap();
        files.push((&paths[at], if first < at { b"->../0/layer.tar" } else { layer }));
    }
    files.extend([(name.as_str(), config.as_slice()), ("manifest.json", manifest.as_bytes())]);
    tar(&files)
}

/// An OCI layout with one image. The layers are put in as they are.
pub fn oci(annotations: &Value, config: &[u8], layers: &[&[u8]]) -> Vec<u8> {
    let entry = |bytes: &[u8], media_type: &str| json!({"mediaType": media_type, "digest": digest::of(bytes), "size": bytes.len()});
    let descriptors: Vec<Value> =
        layers.iter().map(|layer| entry(layer, "application/vnd.oci.image.layer.v1.tar")).collect();
    let manifest = json!({"schemaVersion": 2, "config": entry(config, crate::manifest::OCI_CONFIG), "layers": descriptors})
        .to_string();
    let mut top = entry(manifest.as_bytes(), crate::manifest::OCI_MANIFEST);
    top["annotations"] = annotations.clone();
    let index = json!({"schemaVersion": 2, "manifests": [top]}).to_string();
    let blobs: Vec<&[u8]> = layers.iter().copied().chain([config, manifest.as_bytes()]).collect();
    let paths: Vec<String> =
        blobs.iter().map(|blob| format!("blobs/sha256/{}", &digest::of(blob)[7..])).collect();
    let mut files: Vec<(&str, &[u8])> = vec![("oci-layout", b"{\"imageLayoutVersion\":\"1.0.0\"}")];
    files.push(("index.json", index.as_bytes()));
    files.extend(paths.iter().map(String::as_str).zip(blobs.iter().copied()));
    tar(&files)
}

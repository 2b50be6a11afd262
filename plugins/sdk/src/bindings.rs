//! What `wit/` says, in Rust; generated at compile time.
#![allow(missing_docs, unsafe_code, clippy::all)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "backend",
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "sockerless_plugin_sdk::bindings",
    additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    additional_derives_ignore: ["manifest"],
});

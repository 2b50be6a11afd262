//! Generated from `wit/`.

#![allow(missing_docs, clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "backend",
    imports: {
        "sockerless:backend/credentials.describe": async,
    },
    exports: { default: async },
    require_store_data_send: true,
});

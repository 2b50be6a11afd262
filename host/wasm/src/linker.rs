//! What a component can import.

use wasmtime::{
    Engine, Result,
    component::{HasData, Linker, ResourceTable},
};
use wasmtime_wasi::{
    WasiView as _,
    cli::{WasiCli, WasiCliView as _},
    clocks::{WasiClocks, WasiClocksView as _},
    filesystem::{WasiFilesystem, WasiFilesystemView as _},
    p2::bindings as wasi,
    random::WasiRandom,
};

use crate::{state::State, v0_1};

struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

/// The imports that the host offers. `wasi:filesystem` and `wasi:cli/environment` are there since
/// language runtimes import them, and are empty: no folder, no variable, no argument. `wasi:sockets`
/// is missing on purpose: a component that wants it is refused when it is loaded.
pub(crate) fn build(engine: &Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    wasi::io::error::add_to_linker::<State, Table>(l, |state| state.ctx().table)?;
    wasi::io::poll::add_to_linker::<State, Table>(l, |state| state.ctx().table)?;
    wasi::io::streams::add_to_linker::<State, Table>(l, |state| state.ctx().table)?;
    wasi::clocks::wall_clock::add_to_linker::<State, WasiClocks>(l, State::clocks)?;
    wasi::clocks::monotonic_clock::add_to_linker::<State, WasiClocks>(l, State::clocks)?;
    wasi::random::random::add_to_linker::<State, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    wasi::random::insecure::add_to_linker::<State, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    wasi::random::insecure_seed::add_to_linker::<State, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    wasi::cli::exit::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::environment::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::stderr::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::terminal_input::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::terminal_output::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::terminal_stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::terminal_stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::terminal_stderr::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::filesystem::preopens::add_to_linker::<State, WasiFilesystem>(l, State::filesystem)?;
    wasi::filesystem::types::add_to_linker::<State, WasiFilesystem>(l, State::filesystem)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(l)?;
    v0_1::add_to_linker(l)?;
    Ok(linker)
}

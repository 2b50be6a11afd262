//! The executor's stages as a program of its own, for programs that cannot call
//! `sockerless_executor::init` first thing in `main` (tests under the standard harness).

fn main() -> std::process::ExitCode {
    sockerless_executor::init();
    eprintln!("this program is started by the executor, not by hand");
    std::process::ExitCode::from(2)
}

//! `traffic serve PORT` obeys orders on a port, `traffic send BYTES` writes to standard output.

use std::{io, net::TcpListener, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("traffic: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    match arguments {
        [verb, port] if verb == "serve" => {
            Ok(sockerless_traffic::serve(&TcpListener::bind(("0.0.0.0", port.parse()?))?)?)
        }
        [verb, bytes] if verb == "send" => Ok(sockerless_traffic::send(io::stdout().lock(), bytes.parse()?)?),
        _ => Err("serve PORT, or send BYTES".into()),
    }
}

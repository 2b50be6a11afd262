//! What the daemon gives an agent before there is a line: variables of its job's container, and arguments.

/// The address to dial: `ws://` or `wss://`.
pub const CALLBACK_URL: &str = "SOCKERLESS_CALLBACK_URL";

/// SHA-256 of the daemon's certificate in hexadecimal digits; none for the public authorities.
pub const CALLBACK_FINGERPRINT: &str = "SOCKERLESS_CALLBACK_FINGERPRINT";

/// The run: `<container id>.<generation>`.
pub const RUN: &str = "SOCKERLESS_RUN";

/// What the agent proves with, once, that it is the one that is awaited: 64 hexadecimal digits.
pub const TICKET: &str = "SOCKERLESS_TICKET";

/// The container's place among those of its job: `<job>/<index>/<count>`; none where there are no others.
pub const POD: &str = "SOCKERLESS_POD";

/// The argument with which the agent does nothing but copy itself; the path to install at comes after it.
pub const INSTALL: &str = "install";

//! What dockerd says of an exec that could not be started.

use crate::ErrorKind;

/// What dockerd's runtime puts around the reason.
const RUNTIME: &str = "OCI runtime exec failed: exec failed: ";
const PROCESS: &str = "unable to start container process: ";

/// Docker's exit codes of a command that cannot be executed, and of one that is not there.
pub(super) const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// What dockerd's runtime says of a working directory that does not begin with a slash.
pub(super) const RELATIVE_DIRECTORY: &str =
    "OCI runtime exec failed: exec failed: Cwd must be an absolute path: unknown";

/// The message for a reason of the agent's. A user that is not there is dockerd's own to find out, without its runtime.
pub(super) fn message(reason: &str) -> String {
    if reason.starts_with(RUNTIME) {
        return reason.to_owned();
    }
    let reason = reason.strip_suffix(": unknown").unwrap_or(reason);
    let reason = reason.split_once(PROCESS).map_or(reason, |(_, inner)| inner);
    if reason.starts_with("unable to find user") || reason.starts_with("unable to find group") {
        return reason.to_owned();
    }
    format!("{RUNTIME}{PROCESS}{reason}: unknown")
}

/// The exit code: whatever is not a missing program (as a missing directory) counts as one that cannot be executed.
pub(super) fn code(code: i32, message: &str) -> i32 {
    if code == NOT_FOUND && message.contains("exec: ") { NOT_FOUND } else { NOT_EXECUTABLE }
}

/// 400 for what is wrong with the command, else 500.
pub(super) fn kind(message: &str) -> ErrorKind {
    let known = [
        "executable file not found",
        "no such file or directory",
        "permission denied",
        "not a directory",
        "is a directory",
    ];
    if known.iter().any(|words| message.contains(words)) { ErrorKind::Invalid } else { ErrorKind::Internal }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_as_dockerd_tells_them() {
        let bare = "exec: \"nope\": executable file not found in $PATH";
        let whole = format!(
            "OCI runtime exec failed: exec failed: unable to start container process: {bare}: unknown"
        );
        for form in [bare.to_owned(), format!("{PROCESS}{bare}"), format!("{bare}: unknown"), whole.clone()] {
            assert_eq!(message(&form), whole, "{form}");
        }
        let user = "unable to find user nope: no matching entries in passwd file";
        assert_eq!(message(user), user);
        assert_eq!(message(&format!("{PROCESS}{user}")), user);
    }

    #[test]
    fn only_a_missing_program_is_127() {
        let missing = "exec: \"x\": executable file not found in $PATH";
        assert_eq!((code(127, missing), code(126, missing), code(128, missing)), (127, 126, 126));
        assert_eq!(
            code(127, "chdir to cwd (\"/x\") set in config.json failed: no such file or directory"),
            126
        );
        assert_eq!(kind("exec: \"x\": permission denied"), ErrorKind::Invalid);
        assert_eq!(kind("no room for another process"), ErrorKind::Internal);
    }
}

//! Who a plugin is, what it wants and what it can. The meaning of each item: `wit/plugin.wit`.

use std::rc::Rc;

use crate::{Dns, Host, Jobs, Result, Storage};

pub use crate::bindings::exports::sockerless::backend::plugin::{
    Check, Feature, HttpGrant, ImageSources, Limits, Manifest, Setting, Size, Verdict, VolumeDriver,
};

/// A backend. One value lives for one call of the host.
pub trait Plugin: Jobs + Dns + Storage + Sized {
    /// Says who it is, without settings and without the network.
    fn describe() -> Manifest;

    /// Reads the settings, without the network. It runs before each call, and alone when the
    /// host wants the settings checked.
    ///
    /// # Errors
    /// `invalid-argument` that names the setting and what it should look like;
    /// [`Settings`](crate::Settings) makes such errors.
    fn new(host: Rc<dyn Host>) -> Result<Self>;

    /// Where images may come from with the present settings.
    ///
    /// # Errors
    /// Whatever keeps it from knowing.
    fn images(&self) -> Result<ImageSources>;

    /// Looks at the account with read-only calls. When [`Plugin::new`] fails, that is the
    /// report, and this is not called.
    fn doctor(&self) -> Vec<Check> {
        Vec::new()
    }
}

impl Check {
    /// It is as it should be.
    pub fn pass(name: &str, finding: impl Into<String>) -> Self {
        Self { name: name.into(), verdict: Verdict::Pass, finding: finding.into(), remedy: String::new() }
    }

    /// It works, with a loss that the finding names.
    pub fn warn(name: &str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name: name.into(), verdict: Verdict::Warn, finding: finding.into(), remedy: remedy.into() }
    }

    /// It does not work.
    pub fn fail(name: &str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name: name.into(), verdict: Verdict::Fail, finding: finding.into(), remedy: remedy.into() }
    }

    /// It could not be looked at.
    pub fn skip(name: &str, finding: impl Into<String>) -> Self {
        Self { name: name.into(), verdict: Verdict::Skip, finding: finding.into(), remedy: String::new() }
    }
}

/// The report of a plugin: of its settings first, then its own.
pub fn report<P: Plugin>(host: Rc<dyn Host>) -> Vec<Check> {
    match P::new(host) {
        Ok(plugin) => {
            let mut checks = vec![Check::pass("settings", "all settings can be read")];
            checks.extend(plugin.doctor());
            checks
        }
        Err(error) => vec![Check::fail(
            "settings",
            error.message,
            "set it in the configuration file or by its environment variable, and restart the daemon",
        )],
    }
}

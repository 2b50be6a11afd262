//! Which registry a plugin may have the daemon log in to.

use sockerless_ports::backend::{Error, ErrorCode, ImageSources, Result};
use url::Url;

use crate::state::Powers;

/// Holds what a plugin says of its repository to the grant: the daemon sends the credential there by itself, so without
/// this a plugin could name any host and have a token sent to it.
///
/// A credential may go to the repository's host when the grant binds it to that host, or when it is in the grant at all and
/// the operator has named the repository in a setting.
///
/// # Errors
/// `PermissionDenied` otherwise.
pub(crate) fn check(plugin: &str, images: &ImageSources, powers: &Powers) -> Result<()> {
    let (Some(repository), Some(credential)) = (&images.repository, &images.credential) else {
        return Ok(());
    };
    let host = repository.split('/').next().unwrap_or(repository);
    let url = Url::parse(&format!("https://{host}/")).ok();
    let admission = url.and_then(|url| powers.grants.admit(&url));
    let bound = admission.is_some_and(|admission| admission.credentials.contains(credential));
    if bound || (powers.grants.binds(credential) && powers.settings.is_named(repository)) {
        return Ok(());
    }
    let why = if powers.grants.binds(credential) { ": no setting of the operator's names it" } else { "" };
    let message = format!(
        "plugin {plugin}: the credential {credential:?} is not granted for its repository {repository}{why}"
    );
    Err(Error::new(ErrorCode::PermissionDenied, message))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sockerless_ports::backend::{HttpGrant, Setting};

    use super::*;
    use crate::{http::Grants, limits::Limits, manifest::tests::manifest, settings::Settings};

    /// The plugin asks for a host and has one setting, of which the operator's value is `mine.test/images`.
    fn checked(repository: &str, credential: &str) -> Result<()> {
        let mut manifest = manifest();
        manifest.settings = vec![Setting {
            name: "repository".to_owned(),
            environment: String::new(),
            description: String::new(),
            required: false,
            default: None,
        }];
        let file = BTreeMap::from([("repository".to_owned(), "mine.test/images".to_owned())]);
        let settings = Settings::resolve(&manifest, &file, &BTreeMap::new()).unwrap();
        let asked = [HttpGrant { host: "api.test".to_owned(), credentials: vec!["token".to_owned()] }];
        let grants = Grants::effective("t", &asked, None, &settings).unwrap();
        let images = ImageSources {
            direct: vec![],
            repository: Some(repository.to_owned()),
            credential: Some(credential.to_owned()),
            platforms: vec![],
        };
        check("t", &images, &Powers::new(settings, grants, &Limits::default()))
    }

    #[test]
    fn a_credential_goes_to_granted_hosts_and_to_the_registry_that_the_operator_named() {
        for repository in ["mine.test/images", "mine.test/images/below", "api.test/x"] {
            checked(repository, "token").unwrap();
        }
    }

    #[test]
    fn a_plugin_cannot_have_a_token_sent_to_a_registry_of_its_choice() {
        for repository in
            ["evil.test/images", "mine.test/images-of-others", "mine.test.evil.test/images", "mine.test"]
        {
            let error = checked(repository, "token").unwrap_err();
            assert_eq!(error.code, ErrorCode::PermissionDenied, "{repository}");
        }
        checked("mine.test/images", "other").unwrap_err();
    }
}

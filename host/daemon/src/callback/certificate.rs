//! The certificate that agents see: the operator's, or one that the daemon makes for itself once.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{
    RootCertStore, ServerConfig,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use sha2::{Digest, Sha256};

use crate::Result;

/// The daemon's own, in its state folder.
const OWN: &str = "callback.crt";
/// Its key, readable for the daemon's user alone.
const OWN_KEY: &str = "callback.key";

/// A certificate with its chain and its key.
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Certificate {
    /// The operator's, in PEM. Errors name the file.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self> {
        let unusable =
            |path: &Path, error: rustls::pki_types::pem::Error| format!("{}: {error}", path.display());
        let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(|error| unusable(certificate, error))?;
        if chain.is_empty() {
            return Err(format!("{}: no certificate in it", certificate.display()).into());
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error))?;
        Ok(Self { chain, key })
    }

    /// The daemon's own. It is made once: agents know it by itself, and those that run have to know it after a restart.
    pub fn own(state: &Path, host: &str) -> Result<Self> {
        let (certificate, key) = (state.join(OWN), state.join(OWN_KEY));
        if !certificate.exists() || !key.exists() {
            make(&certificate, &key, host)?;
        }
        Self::read(&certificate, &key)
    }

    /// SHA-256 in hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        Sha256::digest(&self.chain[0]).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether those whom the agent trusts by itself vouch for it, under this name and at this time.
    pub fn is_public(&self, host: &str) -> bool {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let (Ok(verifier), Ok(name)) = (verifier, ServerName::try_from(host)) else { return false };
        verifier.verify_server_cert(&self.chain[0], &self.chain[1..], &name, &[], UnixTime::now()).is_ok()
    }

    /// For the listener. Errors: the key is not the certificate's, or of a kind that is not known.
    pub fn server(self) -> Result<Arc<ServerConfig>> {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(self.chain, self.key)
            .map_err(|error| format!("callback_certificate and callback_key: {error}"))?;
        Ok(Arc::new(config))
    }
}

fn make(certificate: &Path, key: &Path, host: &str) -> Result {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(vec![host.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, "sockerless");
    let made = params.self_signed(&pair)?;
    // The certificate last: without it both are made again.
    write(key, 0o600, &pair.serialize_pem())?;
    write(certificate, 0o644, &made.pem())?;
    Ok(())
}

/// Whole or not at all.
fn write(path: &Path, mode: u32, text: &str) -> Result {
    let part = path.with_added_extension("part");
    let unusable = |error: io::Error| format!("{}: {error}", path.display());
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(error).into()),
        _ => {}
    }
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&part);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, path)
    });
    Ok(written.map_err(unusable)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_daemons_own_is_made_once_and_its_key_is_nobody_elses() {
        let state = tempfile::tempdir().unwrap();
        let first = Certificate::own(state.path(), "10.0.0.1").unwrap();
        let second = Certificate::own(state.path(), "elsewhere.example").unwrap();
        assert_eq!(first.fingerprint(), second.fingerprint());
        assert_eq!(first.fingerprint().len(), 64);
        let mode = fs::metadata(state.path().join(OWN_KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!first.is_public("10.0.0.1"));
        first.server().unwrap();
    }

    #[test]
    fn one_that_lost_its_other_half_is_made_again() {
        let state = tempfile::tempdir().unwrap();
        let first = Certificate::own(state.path(), "h").unwrap().fingerprint();
        fs::remove_file(state.path().join(OWN_KEY)).unwrap();
        let second = Certificate::own(state.path(), "h").unwrap();
        assert_ne!(first, second.fingerprint());
        second.server().unwrap();
    }

    #[test]
    fn files_that_are_none_are_refused_by_name() {
        let state = tempfile::tempdir().unwrap();
        let empty = state.path().join("empty.pem");
        fs::write(&empty, "").unwrap();
        for (certificate, key) in [(&empty, &empty), (&state.path().join("missing.pem"), &empty)] {
            let error = Certificate::read(certificate, key).err().unwrap().to_string();
            assert!(error.contains(certificate.to_str().unwrap()), "{error}");
        }
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Certificate::own(a.path(), "h").unwrap();
        Certificate::own(b.path(), "h").unwrap();
        let mixed = Certificate::read(&a.path().join(OWN), &b.path().join(OWN_KEY)).unwrap();
        assert!(mixed.server().unwrap_err().to_string().contains("callback_key"));
    }
}

//! The listener by TLS, with a certificate of its own that clients are told to trust.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::limits;

/// Certificates for this machine in a folder, made at the first start: clients may keep what they trust.
pub struct Certificate {
    /// Where it lies, as PEM.
    pub path: PathBuf,
    config: Arc<ServerConfig>,
}

impl Certificate {
    /// Reads or makes it.
    ///
    /// # Errors
    /// The files cannot be read or written, or are no certificate and key.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let (path, own) = (folder.join("certificate.pem"), folder.join("server.pem"));
        let key = folder.join("server.key");
        if ![&path, &own, &key].into_iter().all(|file| file.exists()) {
            make(&path, &own, &key)?;
        }
        let certificate = CertificateDer::from_pem_file(&own).map_err(io::Error::other)?;
        let key = PrivateKeyDer::from_pem_file(&key).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .map_err(io::Error::other)?;
        Ok(Self { path, config: Arc::new(config) })
    }
}

/// An authority, whose key nobody keeps, and the server's certificate by it: some clients take nothing into their trust that
/// is no authority, and others no authority for a server.
fn make(path: &Path, own: &Path, key_path: &Path) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let named = |name: &str, hosts: Vec<String>| -> io::Result<CertificateParams> {
        let mut params = CertificateParams::new(hosts).map_err(io::Error::other)?;
        params.distinguished_name.push(DnType::CommonName, name);
        Ok(params)
    };
    let mut authority = named("Sockerless simulator of Azure", Vec::new())?;
    authority.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    let authority_key = KeyPair::generate().map_err(io::Error::other)?;
    let trusted = authority.self_signed(&authority_key).map_err(io::Error::other)?;
    let hosts = ["localhost", "*.localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut server = named("localhost", hosts.to_vec())?;
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let issuer = Issuer::new(authority, authority_key);
    let certificate = server.signed_by(&key, &issuer).map_err(io::Error::other)?;
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(key_path)?;
    file.write_all(key.serialize_pem().as_bytes())?;
    std::fs::write(own, certificate.pem())?;
    std::fs::write(path, trusted.pem())
}

/// Connections whose handshake is done. A slow handshake holds up no other.
pub struct Listener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl Listener {
    /// Accepts on a listener as long as this lives; within a runtime.
    ///
    /// # Errors
    /// The listener has no address.
    pub fn new(listener: TcpListener, certificate: &Certificate) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(limits::TLS_QUEUE);
        tokio::spawn(accept(listener, TlsAcceptor::from(certificate.config.clone()), sender));
        Ok(Self { address, ready })
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    sender: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = sender.closed() => return,
        };
        let Ok((stream, peer)) = accepted else {
            // No more files, for the moment.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(limits::HANDSHAKE, acceptor.accept(stream)).await {
                // Nobody accepts any more: the server ends.
                Ok(Ok(stream)) => drop(sender.send((stream, peer)).await),
                Ok(Err(error)) => tracing::debug!(%error, "a handshake failed"),
                Err(_) => tracing::debug!("a handshake took too long"),
            }
        });
    }
}

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The accepting task ends after this does.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

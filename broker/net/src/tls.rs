//! TLS on a listener: its files, read and checked as a whole, and replaced as a whole.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, InvalidMessage, OtherError, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use webpki::EndEntityCert;

use crate::certificate::ClientCertificate;
use crate::settings::{SettingsError, TlsSettings, TlsVersion};
use crate::stream::Stream;

/// A listener's certificate and key, and whom it trusts; replaceable while it serves.
pub struct Tls {
    current: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads every file of `settings` and checks that they fit together.
    ///
    /// # Errors
    /// The key, the file and what is wrong with it.
    pub fn load(settings: &TlsSettings) -> Result<Self, SettingsError> {
        Ok(Self {
            current: ArcSwap::from(server_config(settings)?),
        })
    }

    /// Reads the files again, or those of other settings, for handshakes that start from here on.
    /// Connections that are up stay as they are, but cannot resume under the new configuration: a
    /// client revoked by it has to show its certificate, and fails.
    ///
    /// # Errors
    /// As for [`Tls::load`]; what was loaded before stays in use then.
    pub fn reload(&self, settings: &TlsSettings) -> Result<(), SettingsError> {
        self.current.store(server_config(settings)?);
        Ok(())
    }

    pub(crate) async fn accept(
        &self,
        stream: Stream,
    ) -> Result<(TlsStream<Stream>, Option<Box<ClientCertificate>>), TlsError> {
        let stream = TlsAcceptor::from(self.current.load_full())
            .accept(stream)
            .await?;
        let certificates = stream.get_ref().1.peer_certificates();
        let certificate = certificates
            .and_then(|chain| chain.first())
            .map(|certificate| ClientCertificate::read(certificate).ok_or(TlsError::Subject))
            .transpose()?;
        Ok((stream, certificate.map(Box::new)))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn server_config(settings: &TlsSettings) -> Result<Arc<ServerConfig>, SettingsError> {
    let certificate = File {
        key: "tls.certificate",
        path: &settings.certificate,
    };
    let key = File {
        key: "tls.key",
        path: &settings.key,
    };
    let chain = chain(&certificate, &settings.intermediates)?;
    let private = PrivateKeyDer::from_pem_file(key.path)
        .map_err(|error| key.unreadable(&error, "unencrypted private key"))?;

    let provider = Arc::new(ring::default_provider());
    let versions: &[_] = match settings.minimum_version {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| SettingsError::new("tls.minimum_version", error.to_string()))?
        .with_client_cert_verifier(client_verifier(settings, provider)?);
    let mut config = builder
        .with_single_cert(chain, private)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                key.error(format!("is not the key of {}", certificate.path.display()))
            }
            error @ rustls::Error::InvalidCertificate(_) => certificate.error(explain(&error)),
            error => key.error(error.to_string()),
        })?;
    config.alpn_protocols = settings
        .alpn
        .iter()
        .map(|name| name.clone().into_bytes())
        .collect();
    // Tickets let clients resume without the server remembering them; one suffices for a client
    // that holds one connection.
    config.ticketer = ring::Ticketer::new()
        .map_err(|error| SettingsError::new("tls", format!("no random numbers: {error}")))?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// The server's certificate and those between it and a root. As in OpenSSL, a file that holds more
/// than one is taken for the whole chain.
fn chain(
    certificate: &File<'_>,
    intermediates: &[PathBuf],
) -> Result<Vec<CertificateDer<'static>>, SettingsError> {
    let mut chain: Vec<CertificateDer<'static>> = certificate.objects("certificate")?;
    if chain.len() > 1 {
        return Ok(chain);
    }
    let key = "tls.intermediates";
    let mut authorities = Vec::new();
    for path in authority_files(key, intermediates)? {
        match (File { key, path: &path }).objects("certificate") {
            // A directory may have other files in it.
            Err(error) if intermediates.contains(&path) => return Err(error),
            found => authorities.extend(found.unwrap_or_default()),
        }
    }
    while let Some(issuer) = chain
        .last()
        .and_then(|last| take_issuer(last, &mut authorities))
    {
        chain.push(issuer);
    }
    Ok(chain)
}

/// Takes the certificate of whoever signed this one out of `authorities`, unless it is a root:
/// clients have those, or do not trust them.
fn take_issuer(
    certificate: &CertificateDer<'_>,
    authorities: &mut Vec<CertificateDer<'static>>,
) -> Option<CertificateDer<'static>> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let issuer = certificate.issuer();
    let is_issuer = |authority: &CertificateDer<'_>| {
        EndEntityCert::try_from(authority)
            .is_ok_and(|authority| authority.subject() == issuer && authority.issuer() != issuer)
    };
    let at = authorities.iter().position(is_issuer)?;
    Some(authorities.remove(at))
}

fn client_verifier(
    settings: &TlsSettings,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, SettingsError> {
    if settings.client_ca.is_empty() {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let mut roots = RootCertStore::empty();
    let key = "tls.client_ca";
    for path in authority_files(key, &settings.client_ca)? {
        let authorities = File { key, path: &path };
        for certificate in authorities.objects("certificate")? {
            roots
                .add(certificate)
                .map_err(|error| authorities.error(explain(&error)))?;
        }
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if !settings.require_client_certificate {
        builder = builder.allow_unauthenticated();
    }
    let Some(path) = &settings.crl else {
        return builder
            .build()
            .map_err(|error| SettingsError::new("tls.client_ca", error.to_string()));
    };
    let lists = File {
        key: "tls.crl",
        path,
    };
    let crls: Vec<CertificateRevocationListDer<'static>> = lists.objects("revocation list")?;
    // Whether a client's certificate is revoked must be known, from a list that is not expired;
    // lists for the authorities themselves are not demanded. Mosquitto does the same.
    builder
        .with_crls(crls)
        .only_check_end_entity_revocation()
        .enforce_revocation_expiration()
        .build()
        .map_err(|error| lists.error(error.to_string()))
}

/// The files that a key names: what is a directory stands for the certificates in it.
fn authority_files(key: &'static str, paths: &[PathBuf]) -> Result<Vec<PathBuf>, SettingsError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let folder = File { key, path };
        let unreadable = |error| folder.unreadable(&pem::Error::Io(error), "certificate");
        for entry in path.read_dir().map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            if file
                .extension()
                .is_some_and(|kind| kind == "pem" || kind == "crt")
            {
                files.push(file);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// A file that a key names, for errors that say both.
struct File<'a> {
    key: &'static str,
    path: &'a Path,
}

impl File<'_> {
    /// Every PEM section of a kind: at least one.
    fn objects<T: PemObject>(&self, kind: &str) -> Result<Vec<T>, SettingsError> {
        let objects = T::pem_file_iter(self.path)
            .and_then(Iterator::collect::<Result<Vec<T>, _>>)
            .map_err(|error| self.unreadable(&error, kind))?;
        if objects.is_empty() {
            return Err(self.unreadable(&pem::Error::NoItemsFound, kind));
        }
        Ok(objects)
    }

    fn unreadable(&self, error: &pem::Error, kind: &str) -> SettingsError {
        self.error(match error {
            pem::Error::Io(error) => format!("cannot be read: {error}"),
            pem::Error::NoItemsFound => format!("holds no {kind} in PEM format"),
            error => format!("is not PEM: {error}"),
        })
    }

    fn error(&self, problem: String) -> SettingsError {
        SettingsError {
            key: self.key,
            file: Some(self.path.to_owned()),
            problem,
        }
    }
}

/// Why a TLS handshake failed.
#[derive(Debug)]
pub enum TlsError {
    /// The peer sent something that is not TLS at all, such as MQTT or HTTP.
    NotTls,
    /// The peer, or we, refused; or the connection failed.
    Handshake(io::Error),
    /// The client's certificate is valid but its subject cannot be read.
    Subject,
}

/// What rustls says, or more where it has no words of its own.
fn explain(error: &rustls::Error) -> String {
    if let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = error
        && let Some(webpki::Error::UnsupportedCertVersion) = other.downcast_ref()
    {
        "the certificate is not of X.509 version 3; make one that is: openssl x509 -req does with \
         -extfile"
            .into()
    } else {
        error.to_string()
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

impl From<io::Error> for TlsError {
    fn from(error: io::Error) -> Self {
        match tls_error(&error) {
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Self::NotTls,
            _ => Self::Handshake(error),
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTls => f.write_str("TLS: the client does not speak TLS"),
            Self::Handshake(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("TLS: the client closed the connection during the handshake")
            }
            Self::Handshake(error) => match tls_error(error) {
                Some(error) => write!(f, "TLS: {}", explain(error)),
                None => write!(f, "TLS: {error}"),
            },
            Self::Subject => f.write_str("TLS: the client certificate's subject is malformed"),
        }
    }
}

impl std::error::Error for TlsError {}

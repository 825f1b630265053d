//! TLS as a client: whom to trust, who we are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::settings::TlsSettings;

/// # Errors
/// A file that cannot be read or holds something else, or a key that is not the certificate's.
pub(crate) fn config(settings: &TlsSettings) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let versions: &[_] = match settings.only_tls13 {
        true => &[&rustls::version::TLS13],
        false => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let roots = Arc::new(roots(&settings.authorities)?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .build()
        .map_err(|error| format!("tls authorities: {error}"))?;
    let verifier: Arc<dyn ServerCertVerifier> = match settings.insecure {
        true => Arc::new(AnyName(verifier)),
        false => verifier,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| format!("tls versions: {error}"))?
        // What is replaced checks the chain as rustls does.
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match (&settings.certificate, &settings.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let private = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| format!("tls key {}: {error}", key.display()))?;
            builder
                .with_client_auth_cert(chain, private)
                .map_err(|error| format!("tls certificate {}: {error}", certificate.display()))?
        }
        _ => return Err("tls: a certificate needs a key, and a key a certificate".into()),
    };
    let names = settings.alpn.iter();
    config.alpn_protocols = names.map(|name| name.clone().into_bytes()).collect();
    Ok(Arc::new(config))
}

fn roots(paths: &[PathBuf]) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    // A system's list may hold what we cannot use; those that were named were checked.
    store.add_parsable_certificates(authorities(paths)?);
    Ok(store)
}

/// The certificates in these files and directories; without any, those that the system trusts, or
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` if they are set.
///
/// # Errors
/// A file that cannot be read, holds something else, or a certificate that is no authority's.
pub(crate) fn authorities(paths: &[PathBuf]) -> Result<Vec<CertificateDer<'static>>, String> {
    if paths.is_empty() {
        let found = rustls_native_certs::load_native_certs();
        return match (found.certs.is_empty(), found.errors.first()) {
            (false, _) => Ok(found.certs),
            (true, Some(error)) => Err(format!("tls: what this system trusts: {error}")),
            (true, None) => Err("tls: this system trusts no authority; name some".into()),
        };
    }
    let mut all = Vec::new();
    for path in paths {
        for file in files(path)? {
            for certificate in certificates(&file)? {
                RootCertStore::empty()
                    .add(certificate.clone())
                    .map_err(|error| format!("tls authority {}: {error}", file.display()))?;
                all.push(certificate);
            }
        }
    }
    Ok(all)
}

/// A file itself, or the certificates in a directory.
fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error| format!("tls authority {}: {error}", path.display());
    if !path.metadata().map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in path.read_dir().map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file
            .extension()
            .is_some_and(|kind| kind == "pem" || kind == "crt")
        {
            files.push(file);
        }
    }
    Ok(files)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |error| format!("tls certificate {}: {error}", path.display());
    let all: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(unreadable)?;
    match all.is_empty() {
        true => Err(format!(
            "tls certificate {}: holds none in PEM format",
            path.display()
        )),
        false => Ok(all),
    }
}

/// Checks all but the name, which comes last: a certificate whose name is the only fault has a
/// chain, dates and purpose that are right.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.0
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

//! A client of rustls with ring inside: sends a request, reads the reply to its end.
//!
//!     rustls-client PORT CERTIFICATE REQUEST-FILE 1.2|1.3 aes-128|aes-256|chacha
//!
//! Prints how many bytes the reply had.
use std::io::{BufReader, Read, Write};
use std::{env, fs, net::TcpStream, sync::Arc};

use rustls::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
};
use rustls::{Certificate, ClientConfig, ClientConnection, RootCertStore, Stream, SupportedCipherSuite};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [port, certificate, request, version, cipher] = <[String; 5]>::try_from(words).map_err(|_| "wants five arguments")?;
    let config = client_config(&certificate, &version, &cipher)?;
    let mut connection = ClientConnection::new(Arc::new(config), "localhost".try_into()?)?;
    let mut socket = TcpStream::connect(("127.0.0.1", port.parse()?))?;
    let mut stream = Stream::new(&mut connection, &mut socket);
    stream.write_all(&fs::read(request)?)?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    println!("{}", reply.len());
    Ok(())
}

fn client_config(certificate: &str, version: &str, cipher: &str) -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    for der in rustls_pemfile::certs(&mut BufReader::new(fs::File::open(certificate)?))? {
        roots.add(&Certificate(der))?;
    }
    let version = if version == "1.2" { &rustls::version::TLS12 } else { &rustls::version::TLS13 };
    Ok(ClientConfig::builder()
        .with_cipher_suites(&suites(cipher)?)
        .with_safe_default_kx_groups()
        .with_protocol_versions(&[version])?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// The one for each version.
fn suites(cipher: &str) -> Result<[SupportedCipherSuite; 2], Failure> {
    match cipher {
        "aes-128" => Ok([TLS13_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]),
        "aes-256" => Ok([TLS13_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]),
        "chacha" => Ok([TLS13_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]),
        _ => Err("unknown cipher".into()),
    }
}

//! As tlsloop.c, with rustls and ring: a client and a server in one thread, joined in memory.
//!
//!     rustls-loop ROUNDS SIZE CERTIFICATE KEY REPORT
use std::io::{BufReader, Cursor, Read, Write};
use std::time::{Duration, Instant};
use std::{env, fs, sync::Arc};

use rustls::client::{ServerCertVerified, ServerCertVerifier};
use rustls::{Certificate, ClientConfig, ClientConnection, ConnectionCommon, PrivateKey, ServerConfig, ServerConnection, ServerName};

type Failure = Box<dyn std::error::Error>;

const MAX_SIZE: usize = 16384;
const MAX_HANDSHAKE_STEPS: usize = 16;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [rounds, size, certificate, key, report] = <[String; 5]>::try_from(words).map_err(|_| "wants five arguments")?;
    let (rounds, size): (u64, usize) = (rounds.parse()?, size.parse()?);
    if !(1..=MAX_SIZE).contains(&size) {
        return Err("a write is 1 to 16384 bytes".into());
    }
    let mut client = ClientConnection::new(Arc::new(client_config()), "localhost".try_into()?)?;
    let mut server = ServerConnection::new(Arc::new(server_config(&certificate, &key)?))?;
    shake_hands(&mut client, &mut server)?;

    let mut buffer = vec![b'x'; size];
    let mut wire = Vec::with_capacity(2 * MAX_SIZE);
    let (wall, cpu) = (Instant::now(), cpu_time()?);
    for _ in 0..rounds {
        run_round(&mut client, &mut server, &mut buffer, &mut wire)?;
    }
    let (wall, cpu) = (wall.elapsed().as_nanos(), (cpu_time()? - cpu).as_nanos());
    fs::write(report, format!("{{\"count\":{rounds},\"wallNs\":{wall},\"cpuNs\":{cpu}}}\n"))?;
    Ok(())
}

fn run_round(from: &mut ClientConnection, to: &mut ServerConnection, buffer: &mut [u8], wire: &mut Vec<u8>) -> Result<(), Failure> {
    from.writer().write_all(buffer)?;
    carry(from, to, wire)?;
    to.reader().read_exact(buffer)?;
    Ok(())
}

fn shake_hands(client: &mut ClientConnection, server: &mut ServerConnection) -> Result<(), Failure> {
    let mut wire = Vec::new();
    for _ in 0..MAX_HANDSHAKE_STEPS {
        carry(client, server, &mut wire)?;
        carry(server, client, &mut wire)?;
        if !client.is_handshaking() && !server.is_handshaking() && !client.wants_write() && !server.wants_write() {
            return Ok(());
        }
    }
    Err("the handshake does not end".into())
}

/// All records that `from` has ready, by way of `wire`.
fn carry<F, T>(from: &mut ConnectionCommon<F>, to: &mut ConnectionCommon<T>, wire: &mut Vec<u8>) -> Result<(), Failure> {
    wire.clear();
    while from.wants_write() {
        from.write_tls(wire)?;
    }
    let mut rest = Cursor::new(&wire[..]);
    while (rest.position() as usize) < wire.len() {
        to.read_tls(&mut rest)?;
        to.process_new_packets()?;
    }
    Ok(())
}

fn client_config() -> ClientConfig {
    ClientConfig::builder().with_safe_defaults().with_custom_certificate_verifier(Arc::new(Anyone)).with_no_client_auth()
}

fn server_config(certificate: &str, key: &str) -> Result<ServerConfig, Failure> {
    let chain = rustls_pemfile::certs(&mut BufReader::new(fs::File::open(certificate)?))?.into_iter().map(Certificate).collect();
    let keys = rustls_pemfile::pkcs8_private_keys(&mut BufReader::new(fs::File::open(key)?))?;
    let key = PrivateKey(keys.into_iter().next().ok_or("no private key in the file")?);
    Ok(ServerConfig::builder().with_safe_defaults().with_no_client_auth().with_single_cert(chain, key)?)
}

/// The certificate is our own, and who is at the other end is known.
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &Certificate,
        _: &[Certificate],
        _: &ServerName,
        _: &mut dyn Iterator<Item = &[u8]>,
        _: &[u8],
        _: std::time::SystemTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
}

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

/// From linux/time.h.
const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;

extern "C" {
    /// Of the C library, which the standard library links in any case: it has no name for this clock.
    fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
}

fn cpu_time() -> Result<Duration, Failure> {
    let mut time = Timespec { seconds: 0, nanoseconds: 0 };
    // SAFETY: on 64-bit Linux the kernel fills exactly such a pair.
    if unsafe { clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &mut time) } != 0 {
        return Err("could not read the time of this process".into());
    }
    Ok(Duration::new(time.seconds.try_into()?, time.nanoseconds.try_into()?))
}

/**
 * Makes a self-signed certificate for localhost and 127.0.0.1, with nothing but
 * node:crypto: the demo must run on a machine that has no openssl command.
 *
 *   node certificate.mjs DIRECTORY          writes cert.pem and key.pem (0600) there
 *   node certificate.mjs DIRECTORY --leaf   the same, of no authority: rustls refuses a server that is one
 *
 * X.509 v3 (RFC 5280) with an EC P-256 key, written as DER by hand. It carries
 * the extensions that strict verifiers ask of a root: basic constraints, key
 * usage, subject key identifier, subject alternative name.
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const DAY_MS = 86_400_000;

/**
 * @param {{ isAuthority?: boolean }} [options]
 * @returns {{ cert: string, key: string }} both as PEM
 */
export function makeCertificate({ isAuthority = true } = {}) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const algorithm = sequence(oid('1.2.840.10045.4.3.2'));
  const name = sequence(set(sequence(oid('2.5.4.3'), tag(0x0c, Buffer.from('localhost')))));
  const now = Date.now();
  const body = sequence(
    tag(0xa0, integer(2)),
    tag(0x02, positive(randomBytes(16))),
    algorithm,
    name,
    sequence(utcTime(now - DAY_MS), utcTime(now + 30 * DAY_MS)),
    name,
    spki,
    tag(0xa3, sequence(...extensions(spki, isAuthority))),
  );
  const signature = sign('sha256', body, privateKey);
  const der = sequence(body, algorithm, bitString(signature));
  return { cert: pem('CERTIFICATE', der), key: privateKey.export({ type: 'pkcs8', format: 'pem' }) };
}

/**
 * @param {string} directory
 * @param {{ isAuthority?: boolean }} [options]
 */
export function writeCertificate(directory, options) {
  const { cert, key } = makeCertificate(options);
  const paths = { certPath: join(directory, 'cert.pem'), keyPath: join(directory, 'key.pem') };
  writeFileSync(paths.certPath, cert, { mode: 0o600 });
  writeFileSync(paths.keyPath, key, { mode: 0o600 });
  return { cert, key, ...paths };
}

function extensions(spki, isAuthority) {
  const critical = tag(0x01, Buffer.from([0xff]));
  const keyId = createHash('sha1').update(spki.subarray(-65)).digest();
  const alternatives = sequence(tag(0x82, Buffer.from('localhost')), tag(0x87, Buffer.from([127, 0, 0, 1])));
  return [
    sequence(oid('2.5.29.19'), critical, octets(isAuthority ? sequence(critical) : sequence())),
    // digitalSignature and keyCertSign: bits 0 and 5, so two bits of the byte are unused; of the former alone, seven.
    sequence(oid('2.5.29.15'), critical, octets(tag(0x03, Buffer.from(isAuthority ? [2, 0x84] : [7, 0x80])))),
    sequence(oid('2.5.29.14'), octets(octets(keyId))),
    sequence(oid('2.5.29.17'), octets(alternatives)),
  ];
}

function tag(number, content) {
  const size = content.length;
  if (size < 0x80) return Buffer.concat([Buffer.from([number, size]), content]);
  if (size < 0x100) return Buffer.concat([Buffer.from([number, 0x81, size]), content]);
  return Buffer.concat([Buffer.from([number, 0x82, size >> 8, size & 0xff]), content]);
}

function sequence(...parts) {
  return tag(0x30, Buffer.concat(parts));
}

function set(...parts) {
  return tag(0x31, Buffer.concat(parts));
}

function octets(content) {
  return tag(0x04, content);
}

function bitString(content) {
  return tag(0x03, Buffer.concat([Buffer.from([0]), content]));
}

function integer(value) {
  return tag(0x02, Buffer.from([value]));
}

/** A DER integer is signed and minimal: 01 in front keeps it positive and leaves no padding to strip. */
function positive(bytes) {
  return Buffer.concat([Buffer.from([1]), bytes]);
}

function utcTime(epochMs) {
  const text = new Date(epochMs).toISOString();
  return tag(0x17, Buffer.from(`${text.slice(2, 19).replace(/[-:T]/g, '')}Z`));
}

function oid(dotted) {
  const [first, second, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const value of rest) {
    const groups = [value & 0x7f];
    for (let high = Math.floor(value / 128); high > 0; high = Math.floor(high / 128)) groups.unshift((high & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return tag(0x06, Buffer.from(bytes));
}

function pem(label, der) {
  const lines = der.toString('base64').match(/.{1,64}/g).join('\n');
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [, , directory, kind] = process.argv;
  if (directory === undefined || (kind !== undefined && kind !== '--leaf')) {
    process.stderr.write('usage: node certificate.mjs DIRECTORY [--leaf]\n');
    process.exit(2);
  }
  writeCertificate(directory, { isAuthority: kind !== '--leaf' });
}

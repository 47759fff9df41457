/**
 * Names a secret without telling it: two uses of one key have one fingerprint. It
 * is keyed with a number that this process draws and never writes, so nobody
 * can try candidates against a capture, and two runs give one key two names.
 */
import { createHmac, randomBytes } from 'node:crypto';

/** 48 bits: among a million keys, two of one name are a chance of one in 500. */
const DIGITS = 12;

export type Fingerprint = (secret: Uint8Array) => string;

export function createFingerprint(key: Uint8Array = randomBytes(32)): Fingerprint {
  return (secret) => createHmac('sha256', key).update(secret).digest('hex').slice(0, DIGITS);
}

/** All locators. Each is asked about every file without symbols: a program may have several libraries inside. */
import { awsLc } from './aws-lc.ts';
import { boringssl } from './boringssl.ts';
import { goCryptoTls } from './go.ts';
import type { Locator } from './locator.ts';
import { openssl } from './openssl.ts';
import { ring } from './ring.ts';

export const LOCATORS: readonly Locator[] = [goCryptoTls, boringssl, openssl, awsLc, ring];

/** All locators. Each is asked about every file without symbols: a program may have several libraries inside. */
import { boringssl } from './boringssl.ts';
import type { Locator } from './locator.ts';
import { openssl } from './openssl.ts';

export const LOCATORS: readonly Locator[] = [boringssl, openssl];

/** Why of a process no plaintext was seen, or not all: from what it has mapped, what it did on its sockets, and what passed the hooks. */
import { assertUnreachable } from '../event.ts';
import { placesText, type Greetings, type Unheard } from './tls-greetings.ts';
import type { TlsFile } from './tls-files.ts';

export interface Facts {
  readonly files: ReadonlySet<TlsFile>;
  /** How late it was looked at; see TlsReport.seen. */
  readonly seen: 'libraries' | 'program' | 'nothing';
  readonly greetings: Greetings;
  /** Plaintext that was seen. */
  readonly bytes: number;
}

/**
 * captured: bytes were seen. silent: hooked, but nothing passed. missed: it
 * spoke before the hook was there. unrecognised: it speaks TLS, and by no
 * library that we know. unsupported, failed: its library is known but not
 * hooked. none: no TLS library was found, and no TLS.
 */
export type TlsState = 'captured' | 'silent' | 'missed' | 'unrecognised' | 'unsupported' | 'failed' | 'none';

export interface Explanation {
  readonly state: TlsState;
  /** null when all is seen. */
  readonly reason: string | null;
}

export function explainTls(facts: Facts): Explanation {
  const { greetings, bytes } = facts;
  const unheard = greetings.unheard();
  const { state, reason } = bytes > 0 ? { state: 'captured', reason: partOf(facts, unheard) } as const
    : unheard.length > 0 ? explainSpoken(facts, unheard) : explainSilence(facts);
  if (greetings.inKernel === null) return { state, reason };
  const sealed = `its TLS ${greetings.inKernel} is made by the kernel (kTLS): what sendfile sends on it is not captured`;
  return { state, reason: reason === null ? sealed : `${reason}; ${sealed}` };
}

/** Some of its connections passed a hook, and others did not. */
function partOf({ greetings }: Facts, unheard: readonly Unheard[]): string | null {
  if (unheard.length === 0 || !greetings.allPlaced) return null;
  return `it also speaks TLS ${placesText(unheard)} of which no plaintext was seen: that carried none, or passed a library that was not recognised`;
}

/** It speaks TLS, and not a byte was seen. */
function explainSpoken({ files, greetings }: Facts, unheard: readonly Unheard[]): Explanation {
  const places = placesText(unheard);
  const failed = ofState(files, 'failed')[0];
  if (failed !== undefined) return { state: 'failed', reason: `speaks TLS ${places}, and ${failed.path} could not be hooked: ${failed.reason}` };
  const hooked = ofState(files, 'attached');
  if (hooked.length > 0 && greetings.anyHeard) {
    return { state: 'silent', reason: `speaks TLS ${places} by a library that is hooked, but no TLS read or write succeeded while it was traced` };
  }
  const named = ofState(files, 'unsupported')[0];
  if (named !== undefined) return { state: 'unsupported', reason: `${named.reason} (TLS ${places}, ${named.path})` };
  const late = hooked.find(({ hookedAt }) => hookedAt !== null && unheard.every(({ at }) => at < hookedAt));
  if (late !== undefined) return { state: 'missed', reason: `spoke TLS ${places} before ${late.path} was hooked` };
  if (greetings.relays) return { state: 'none', reason: `passes on TLS ${places} that it does not speak itself` };
  const unused = hooked.map(({ path }) => path).join(' and ');
  if (hooked.some(({ seesHandshakes }) => !seesHandshakes)) {
    return { state: 'silent', reason: `speaks TLS ${places}, and nothing passed ${unused}, which is hooked: its handshake failed, or another library was used` };
  }
  const other = unused === '' ? '' : ` (${unused} is hooked and was not used)`;
  return { state: 'unrecognised', reason: `speaks TLS ${places} by a library that was not recognised${other}` };
}

/** No TLS of it was seen at all. */
function explainSilence({ files, seen }: Facts): Explanation {
  const failed = ofState(files, 'failed')[0];
  if (failed !== undefined) return { state: 'failed', reason: `could not hook ${failed.path}: ${failed.reason}` };
  const unsupported = ofState(files, 'unsupported')[0];
  if (ofState(files, 'attached').length > 0) {
    // A program may have several libraries mapped: which one it would have used is not known.
    const other = unsupported === undefined ? '' : `; it also has ${unsupported.path}: ${unsupported.reason}`;
    return { state: 'silent', reason: `its TLS library is hooked, but no TLS read or write succeeded while it was traced${other}` };
  }
  if (unsupported !== undefined) return { state: 'unsupported', reason: `${unsupported.reason} (${unsupported.path})` };
  switch (seen) {
    case 'libraries':
      return { state: 'none', reason: 'no TLS library found' };
    case 'program':
      return { state: 'none', reason: 'its program file asks for no TLS library, and it ended before what it had loaded could be looked at' };
    case 'nothing':
      return { state: 'none', reason: 'it ended before it could be looked at' };
    default:
      return assertUnreachable(seen);
  }
}

function ofState(files: ReadonlySet<TlsFile>, state: TlsFile['state']): readonly TlsFile[] {
  return [...files].filter((file) => file.state === state);
}

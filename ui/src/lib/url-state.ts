/**
 * What the address holds: session, time window, selection, filter, tab. A
 * reload or a copied link shows the same. Times are absolute epoch
 * nanoseconds; no window means that the page follows or fits.
 */
import { isEpochNs } from './time-base.ts';

export interface UrlState {
  readonly session: string | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly selection: Selection | null;
  readonly query: string;
  readonly sources: string | null;
}

export type Selection =
  | { readonly kind: 'event'; readonly id: string }
  | { readonly kind: 'process'; readonly key: string };

export const EMPTY_STATE: UrlState = { session: null, from: null, to: null, selection: null, query: '', sources: null };

export function parseUrl(search: string): UrlState {
  const params = new URLSearchParams(search);
  const from = params.get('from') ?? '';
  const to = params.get('to') ?? '';
  const windowed = isEpochNs(from) && isEpochNs(to) && BigInt(from) < BigInt(to);
  return {
    session: params.get('session'),
    from: windowed ? from : null,
    to: windowed ? to : null,
    selection: parseSelection(params.get('sel')),
    query: params.get('q') ?? '',
    sources: params.get('src'),
  };
}

export function formatUrl(state: UrlState): string {
  const params = new URLSearchParams();
  if (state.session !== null) params.set('session', state.session);
  if (state.from !== null && state.to !== null) {
    params.set('from', state.from);
    params.set('to', state.to);
  }
  if (state.selection !== null) params.set('sel', formatSelection(state.selection));
  if (state.query !== '') params.set('q', state.query);
  if (state.sources !== null) params.set('src', state.sources);
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

export function sameSelection(a: Selection | null, b: Selection | null): boolean {
  return (a === null ? '' : formatSelection(a)) === (b === null ? '' : formatSelection(b));
}

function formatSelection(selection: Selection): string {
  return selection.kind === 'event' ? `event:${selection.id}` : `process:${selection.key}`;
}

function parseSelection(text: string | null): Selection | null {
  if (text === null) return null;
  if (text.startsWith('event:')) return { kind: 'event', id: text.slice(6) };
  if (text.startsWith('process:')) return { kind: 'process', key: text.slice(8) };
  return null;
}

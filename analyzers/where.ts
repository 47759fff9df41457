/** The stage that keeps what filters ask for. Events about ourselves always pass: without them silence could not be told from loss. */
import { filter, type MonoTypeOperatorFunction } from 'rxjs';
import type { Event } from '../src/event.ts';
import { Counters } from '../src/stats.ts';
import type { Expression } from './where/expression.ts';
import { compileWhere } from './where/matches.ts';
import { ABOUT_US } from './filter.ts';

export interface WhereOptions {
  /** An event must fit each of them. */
  readonly where: readonly Expression[];
  /** An event must fit none of them. */
  readonly exclude: readonly Expression[];
  readonly counters: WhereCounters;
}

export type WhereCounters = Counters<'filtered_out' | 'chunks_filtered_out'>;

export function createWhereCounters(): WhereCounters {
  return new Counters(['filtered_out', 'chunks_filtered_out']);
}

export function where({ where: wanted, exclude, counters }: WhereOptions): MonoTypeOperatorFunction<Event> {
  if (wanted.length === 0 && exclude.length === 0) return (events) => events;
  const needs = wanted.map(compileWhere);
  const bars = exclude.map(compileWhere);
  return filter((event) => {
    if (ABOUT_US.has(event.source)) return true;
    const passes = needs.every((fits) => fits(event)) && !bars.some((fits) => fits(event));
    if (!passes) counters.add('filtered_out');
    return passes;
  });
}

/**
 * Goes before all that reads: a chunk that is left out is missing to whatever it was part of, which is then partial, or is never told.
 * What only says when a connection ends, and where it goes, stays.
 */
export function withoutChunks(exclude: readonly Expression[], counters: WhereCounters): MonoTypeOperatorFunction<Event> {
  if (exclude.length === 0) return (events) => events;
  const bars = exclude.map(compileWhere);
  return filter((event) => {
    if (event.source !== 'tls' || (event.data.event !== 'DATA' && event.data.event !== 'HANDSHAKE')) return true;
    const passes = !bars.some((fits) => fits(event));
    if (!passes) counters.add('chunks_filtered_out');
    return passes;
  });
}

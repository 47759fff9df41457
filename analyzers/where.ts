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

export type WhereCounters = Counters<'filtered_out'>;

export function createWhereCounters(): WhereCounters {
  return new Counters(['filtered_out']);
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

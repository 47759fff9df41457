/** The routes of api.ts over the store. Query parameters are checked here, once. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { WhereError } from '../../analyzers/where/tokens.ts';
import { AgentsightError } from '../errors.ts';
import { SOURCES } from '../event.ts';
import { LIMITS } from '../limits.ts';
import type { Info } from './api.ts';
import { RequestProblem } from './problem.ts';
import { decodeEventCursor } from './store/cursor.ts';
import { createRowFilter, type RowFilter } from './store/where.ts';
import type { JsonPage, Store } from './store/store.ts';

export interface RoutesOptions {
  readonly store: Store;
  readonly info: () => Promise<Info>;
  /** Whether the live stream has shown what the store does not have yet. */
  readonly storing: () => boolean;
}

const LIMIT_DEFAULT = 500;
/** Int64, which the store's clock is. */
const NANOSECONDS_MAX = 2n ** 63n - 1n;

const key = z.string().min(1).max(512);
const nanoseconds = z.string()
  .regex(/^\d{1,19}$/, 'must be epoch nanoseconds in decimal digits')
  .refine((text) => /^\d{1,19}$/.test(text) && BigInt(text) <= NANOSECONDS_MAX, 'is later than the store can hold');
const limit = z.string().regex(/^\d{1,6}$/, `must be a number from 1 to ${LIMITS.pageEvents}`).transform(Number)
  .pipe(z.int().min(1).max(LIMITS.pageEvents));
const cursor = z.string().max(2048).refine((text) => decodeEventCursor(text) !== null, 'is not a cursor of this hub');
const source = z.enum(SOURCES, { error: `must be of ${SOURCES.join(', ')}` });

const listSchema = z.strictObject({
  limit: limit.default(LIMIT_DEFAULT),
  cursor: cursor.optional(),
});
const processesSchema = listSchema.extend({ session: key.optional() });
const exchangesSchema = processesSchema.extend({
  process: key.optional(),
  from: nanoseconds.optional(),
  to: nanoseconds.optional(),
  order: z.enum(['asc', 'desc']).default('asc'),
});
/** Files belong to no session: several may share one hook. */
const probesSchema = exchangesSchema.omit({ session: true });
const eventsSchema = exchangesSchema.extend({
  where: z.string().optional(),
  source: z.string().transform((text) => text.split(',')).pipe(z.array(source).min(1)).optional(),
});

export function addRoutes(app: FastifyInstance, { store, info, storing }: RoutesOptions): void {
  app.get('/api/v1/info', async (_request, reply) => sendJson(reply, JSON.stringify(await info())));
  app.get('/api/v1/sessions', async (request, reply) =>
    sendPage(reply, await store.sessions(read(listSchema, request), abortSignal(reply))));
  app.get<{ Params: { session: string } }>('/api/v1/sessions/:session', async (request, reply) => {
    const session = await store.session(request.params.session, abortSignal(reply));
    if (session === null) throw new RequestProblem(404, 'NOT_FOUND', `there is no session ${request.params.session}`);
    return sendJson(reply, session);
  });
  app.get('/api/v1/processes', async (request, reply) =>
    sendPage(reply, await store.processes(read(processesSchema, request), abortSignal(reply))));
  app.get('/api/v1/exchanges', async (request, reply) =>
    sendPage(reply, await store.exchanges(read(exchangesSchema, request), abortSignal(reply))));
  app.get('/api/v1/events', async (request, reply) => {
    const { source: sources, where: text, ...filter } = read(eventsSchema, request);
    const where = text === undefined ? undefined : readWhere(text);
    // Told before the store is asked: what is stored meanwhile may be missing in the answer.
    const more = { storing: storing() };
    return sendPage(reply, await store.events({ ...filter, sources, where }, abortSignal(reply)), more);
  });
  app.get('/api/v1/probes', async (request, reply) =>
    sendPage(reply, await store.events({ ...read(probesSchema, request), sources: ['probe'] }, abortSignal(reply))));
  for (const list of ['events', 'exchanges']) {
    app.get<{ Params: { id: string } }>(`/api/v1/${list}/:id`, async (request, reply) => {
      const event = await store.event(request.params.id, abortSignal(reply));
      if (event === null) throw new RequestProblem(404, 'NOT_FOUND', `there is no event ${request.params.id}`);
      return sendJson(reply, event);
    });
  }
}

function readWhere(text: string): RowFilter {
  try {
    return createRowFilter(text);
  } catch (error) {
    if (!(error instanceof AgentsightError)) throw error;
    throw new RequestProblem(400, 'BAD_REQUEST', `where: ${error.message}`, error instanceof WhereError ? error.column : null);
  }
}

function read<T>(schema: z.ZodType<T>, request: FastifyRequest): T {
  const result = schema.safeParse(request.query);
  if (result.success) return result.data;
  const details = result.error.issues.map((issue) => `${issue.path.join('.') || 'query'}: ${issue.message}`);
  throw new RequestProblem(400, 'BAD_REQUEST', details.join('; '));
}

/** A page that went on to something else must not keep the store busy. */
function abortSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => controller.abort());
  return controller.signal;
}

function sendPage(reply: FastifyReply, page: JsonPage, more: Readonly<Record<string, boolean>> = {}): FastifyReply {
  return sendJson(reply, `{"items":[${page.items.join(',')}],${JSON.stringify({ next: page.next, ...more }).slice(1)}`);
}

function sendJson(reply: FastifyReply, json: string): FastifyReply {
  return reply.type('application/json; charset=utf-8').header('cache-control', 'no-store').send(json);
}

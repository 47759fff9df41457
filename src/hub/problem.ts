/** RFC 9457 problem documents: the one shape of every failed request. */
import type { FastifyReply } from 'fastify';
import { AgentsightError, causeText } from '../errors.ts';
import type { Problem } from './api.ts';

export class RequestProblem extends Error {
  readonly status: number;
  readonly code: string;
  /** Of a filter: where it could not be read. */
  readonly column: number | null;

  constructor(status: number, code: string, detail: string, column: number | null = null) {
    super(detail);
    this.status = status;
    this.code = code;
    this.column = column;
  }
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not found', 405: 'Method not allowed',
  413: 'Too large', 414: 'Too long', 421: 'Misdirected request', 500: 'Internal error', 503: 'Store unavailable',
};

export function toProblem(error: unknown): Problem {
  if (error instanceof RequestProblem) return { ...problem(error.status, error.code, error.message), ...(error.column === null ? {} : { column: error.column }) };
  if (error instanceof AgentsightError) return problem(error.code === 'STORE_FAILED' ? 503 : 500, error.code, error.message);
  const status = statusOf(error);
  if (status !== null && status < 500) return problem(status, 'BAD_REQUEST', causeText(error));
  return problem(500, 'INTERNAL', 'the hub made a mistake; its log says which');
}

export function sendProblem(reply: FastifyReply, error: unknown): FastifyReply {
  const document = toProblem(error);
  return reply.code(document.status).type('application/problem+json').send(JSON.stringify(document));
}

function problem(status: number, code: string, detail: string): Problem {
  return { type: 'about:blank', title: TITLES[status] ?? 'Error', status, detail, code };
}

/** Fastify's own refusals (a malformed URL, a body that is too large) carry their status. */
function statusOf(error: unknown): number | null {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return null;
  return typeof error.statusCode === 'number' ? error.statusCode : null;
}

import { GRPC_STATUS, GrpcStatusError } from '#base/grpc/grpc.ts';
import { LIMITS } from '#base/limits.ts';
import type { Expression } from '#mixer/expression.ts';
import { parseExpression } from '#mixer/parse.ts';

/** The expressions of a question, by the names of their values. */
export type Program = ReadonlyMap<string, Expression>;

/** Programs that are remembered: an Envoy asks the same one until its policies change. */
const REMEMBERED_MAX = 16;
/** Expressions of one program: what the longest has room for. */
const EXPRESSIONS_MAX = 500;
const KEY = /^[A-Za-z0-9_-]{1,64}$/;

const remembered = new Map<string, Program>();

/**
 * Reads what a question asks for: in base64url, JSON with expressions by the names of their values.
 * @throws GrpcStatusError INVALID_ARGUMENT
 */
export function programOf(text: string | readonly string[] | undefined): Program {
  if (typeof text !== 'string' || text.length > LIMITS.mixerProgramCharactersMax)
    throw unreadable('no program in the metadata, or one that is too long');
  const known = remembered.get(text);
  if (known !== undefined) return known;
  const program = read(text);
  const [oldest] = remembered.keys();
  if (oldest !== undefined && remembered.size >= REMEMBERED_MAX) remembered.delete(oldest);
  remembered.set(text, program);
  return program;
}

function read(text: string): Program {
  const entries = Object.entries(parsed(text));
  if (entries.length > EXPRESSIONS_MAX) throw unreadable('the program has too many expressions');
  return new Map(
    entries.map(([key, source]) => {
      const result = typeof source === 'string' ? parseExpression(source) : undefined;
      if (!KEY.test(key) || result === undefined || 'problem' in result)
        throw unreadable('an expression of the program cannot be read');
      return [key, result.expression] as const;
    }),
  );
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Readonly<Record<string, unknown>>;
  } catch {
    // Said below, for all that is none.
  }
  throw unreadable('the program is no object of JSON');
}

function unreadable(message: string): GrpcStatusError {
  return new GrpcStatusError(GRPC_STATUS.invalidArgument, message);
}

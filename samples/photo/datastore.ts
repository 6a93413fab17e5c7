// The third tier: keeps photos in SQLite. DATABASE names the file; in memory when it is not set.
import { DatabaseSync } from 'node:sqlite';
import { drawPhoto } from './drawing.ts';
import { HttpError, runWebService, type WebAnswer, type WebRequest } from './web-service.ts';

const SEED: readonly [title: string, author: string][] = [
  ['Harbour at dawn', 'Ines'],
  ['The long bridge', 'Tomas'],
  ['Snow on the pass', 'Ines'],
  ['Market day', 'Adaeze'],
  ['Lighthouse', 'Tomas'],
  ['Last tram home', 'Yuki'],
];
const TEXT_LENGTH_MAX = 100;

const database = new DatabaseSync(process.env.DATABASE ?? ':memory:');
database.exec(`
  PRAGMA journal_mode = WAL;
  CREATE TABLE IF NOT EXISTS photos (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    author TEXT NOT NULL,
    svg TEXT NOT NULL
  ) STRICT;
`);
const insert = database.prepare(
  'INSERT INTO photos (title, author, svg) VALUES (?, ?, ?) RETURNING id, title, author',
);
const list = database.prepare('SELECT id, title, author FROM photos ORDER BY id');
const find = database.prepare('SELECT id, title, author, svg FROM photos WHERE id = ?');

function add(title: string, author: string): unknown {
  return insert.get(title, author, drawPhoto(title, author));
}

/** A field of a request: text that is neither empty nor long. */
function textOf(parsed: unknown, field: string): string {
  const value = typeof parsed === 'object' && parsed ? Reflect.get(parsed, field) : undefined;
  if (typeof value === 'string' && value.trim() !== '' && value.length <= TEXT_LENGTH_MAX)
    return value.trim();
  throw new HttpError(400, `"${field}" must be a text of 1 to ${TEXT_LENGTH_MAX} characters`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new HttpError(400, 'the body is no JSON');
  }
}

async function handle({ method, path, body }: WebRequest): Promise<WebAnswer> {
  const id = /^\/photos\/(\d{1,15})$/.exec(path)?.[1];
  if (path === '/photos' && method === 'GET') return { status: 200, body: list.all() };
  if (path === '/photos' && method === 'POST') {
    const parsed = parseJson(body);
    return { status: 201, body: add(textOf(parsed, 'title'), textOf(parsed, 'author')) };
  }
  const photo = id && method === 'GET' ? find.get(Number(id)) : undefined;
  if (!photo) throw new HttpError(404, `there is nothing at ${method} ${path}`);
  return { status: 200, body: photo };
}

if (list.all().length === 0) for (const [title, author] of SEED) add(title, author);
runWebService({ name: 'datastore', handle, close: () => database.close() });

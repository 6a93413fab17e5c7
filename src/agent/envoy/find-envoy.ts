import { execFile } from 'node:child_process';
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BulwarkError } from '#base/errors.ts';

/** An Envoy that can be started. */
export interface EnvoyBinary {
  readonly path: string;
  /** `1.40.0`. */
  readonly version: string;
}

/** Where to look. */
export interface FindEnvoyOptions {
  /** The setting `envoyPath`; when it is set, nothing else counts. */
  readonly envoyPath: string | undefined;
  /** The PATH of the environment. */
  readonly searchPath: string | undefined;
  /** What the set-up recorded; gen/envoy.json of this package when left out. */
  readonly recordFile?: string;
}

/** The release that everything was tested with, and the oldest minor release that is taken. */
export const ENVOY_VERSION_TESTED = '1.40.0';
const ENVOY_MINOR_MIN = 38;

const VERSION_MS_MAX = 10_000;
const RECORD_FILE = fileURLToPath(new URL('../../../gen/envoy.json', import.meta.url));
const REMEDY =
  'set BULWARK_ENVOY=/path/to/envoy, put "envoy" on PATH, or let "npm run setup" fetch it';

/**
 * Finds the Envoy to run and makes sure of its version: the setting, then `envoy` on PATH, then
 * what the set-up fetched. Looks without giving way to others: an agent that starts has nothing
 * else to do, and a PATH of twenty folders takes a tenth of the time so.
 * @throws BulwarkError AGENT_ENVOY_MISSING or AGENT_ENVOY_UNSUPPORTED, with the ways out
 */
export async function findEnvoy(options: FindEnvoyOptions): Promise<EnvoyBinary> {
  const recordFile = options.recordFile ?? RECORD_FILE;
  const record = readRecord(recordFile);
  const path = options.envoyPath ?? onPath(options.searchPath ?? '') ?? record?.path;
  if (path === undefined || !isExecutable(path)) {
    const message = path === undefined ? 'there is no Envoy' : `${path} is no executable file`;
    throw new BulwarkError('AGENT_ENVOY_MISSING', message, { remedy: REMEDY, data: { path } });
  }
  const known = record && isUnchanged(path, record) ? record.version : undefined;
  const version = known ?? (await askVersion(path));
  const [major, minor] = version.split('.').map(Number);
  if (major !== 1 || minor === undefined || minor < ENVOY_MINOR_MIN) {
    throw new BulwarkError(
      'AGENT_ENVOY_UNSUPPORTED',
      `${path} is Envoy ${version}; needed is 1.${ENVOY_MINOR_MIN} or newer`,
      { remedy: REMEDY, data: { path, version } },
    );
  }
  return { path, version };
}

interface EnvoyRecord {
  readonly path: string;
  readonly version: string;
  readonly size: number;
  readonly mtimeMs: number;
}

function readRecord(path: string): EnvoyRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(path, 'utf8')) as Partial<EnvoyRecord>;
    return record.path && record.version ? (record as EnvoyRecord) : undefined;
  } catch {
    return undefined; // not set up: one of the other ways may hold
  }
}

function isUnchanged(path: string, record: EnvoyRecord): boolean {
  if (path !== record.path) return false;
  const { size, mtimeMs } = statSync(path);
  return size === record.size && mtimeMs === record.mtimeMs;
}

function onPath(searchPath: string): string | undefined {
  for (const directory of searchPath.split(delimiter).filter(Boolean)) {
    const path = join(directory, 'envoy');
    if (isExecutable(path)) return path;
  }
  return undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Envoy says `envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`. */
async function askVersion(path: string): Promise<string> {
  const unusable = (cause?: unknown): BulwarkError =>
    new BulwarkError('AGENT_ENVOY_UNSUPPORTED', `${path} does not tell its version as Envoy does`, {
      remedy: REMEDY,
      data: { path },
      cause,
    });
  let stdout: string;
  try {
    ({ stdout } = await promisify(execFile)(path, ['--version'], { timeout: VERSION_MS_MAX }));
  } catch (cause) {
    throw unusable(cause);
  }
  const version = /\/(\d+\.\d+\.\d+)[^/]*\//.exec(stdout)?.[1];
  if (!version) throw unusable();
  return version;
}

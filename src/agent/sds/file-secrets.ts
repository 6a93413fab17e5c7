import {
  certificatesIn,
  fileMark,
  privateKeyIn,
  readAllowedFile,
  rootsWithoutBundle,
  systemBundle,
} from '#agent/sds/certificate-file.ts';
import {
  encodeTlsCertificate,
  encodeValidationContext,
  type RepeatableSecret,
  versionOf,
} from '#agent/sds/messages.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';

export interface FileSecretsOptions {
  /** Folders whose files may be named. */
  readonly directories: readonly string[];
  /** Called with the name of a secret that has new content. */
  readonly onChange: (name: string) => void;
  /** Whether a client still wants a secret. */
  readonly isWanted: (name: string) => boolean;
}

export interface FileSecretsDeps {
  readonly log: Logger;
  readonly clock: Clock;
}

/** What a name of Istio's stands for. */
type Source =
  | { readonly kind: 'system' }
  | { readonly kind: 'roots'; readonly path: string }
  | { readonly kind: 'pair'; readonly certificate: string; readonly key: string };

interface Entry {
  readonly name: string;
  readonly source: Source;
  mark: string;
  resource: RepeatableSecret | undefined;
  problem: string | undefined;
}

const ROOT_PREFIX = 'file-root:';
const PAIR_PREFIX = 'file-cert:';
/** Links that are swapped and network file systems escape notifications: look this often. */
const LOOK_MS = 2000;

/**
 * Certificates and roots in files, for TLS to servers outside of the mesh, under the names that
 * Istio has for them: `file-root:system`, `file-root:PATH` and `file-cert:CERTIFICATE~KEY`. A file
 * that changes is served anew; one that went bad is not, the last good content stays.
 *
 * The names come from the control plane, so from whoever may write a DestinationRule. Only files in
 * the folders of `secretDirectories` are read, and of these only what is a certificate, or the key
 * that fits one.
 */
export class FileSecrets {
  readonly #options: FileSecretsOptions;
  readonly #deps: FileSecretsDeps;
  readonly #entries = new Map<string, Entry>();
  #timer: Timer | undefined;

  constructor(options: FileSecretsOptions, deps: FileSecretsDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** The content of a name; undefined when it is none of a file, or the file is not usable yet. */
  find(name: string): RepeatableSecret | undefined {
    const known = this.#entries.get(name);
    if (known) return known.resource;
    const source = sourceOf(name);
    if (!source) return undefined;
    if (this.#entries.size >= LIMITS.agentFileSecretsMax) {
      this.#deps.log.warn('too many files are named for TLS', { secretName: name });
      return undefined;
    }
    const entry: Entry = { name, source, mark: '', resource: undefined, problem: undefined };
    this.#entries.set(name, entry);
    this.#load(entry);
    this.#timer ??= this.#later();
    return entry.resource;
  }

  close(): void {
    this.#timer?.cancel();
    this.#entries.clear();
  }

  #later(): Timer {
    return this.#deps.clock.after(LOOK_MS, () => {
      this.#timer = undefined;
      this.#look();
      if (this.#entries.size > 0) this.#timer = this.#later();
    });
  }

  #look(): void {
    for (const entry of [...this.#entries.values()]) {
      if (!this.#options.isWanted(entry.name)) {
        this.#entries.delete(entry.name);
        continue;
      }
      const before = entry.resource?.version;
      this.#load(entry);
      if (entry.resource?.version !== before) this.#options.onChange(entry.name);
    }
  }

  #load(entry: Entry): void {
    const mark = filesOf(entry.source).map(fileMark).join(' ');
    if (mark !== '' && mark === entry.mark) return;
    entry.mark = mark;
    const { name } = entry;
    try {
      entry.resource = this.#read(entry);
      entry.problem = undefined;
      this.#deps.log.debug('read a file for TLS', { secretName: name });
    } catch (error) {
      const reason = describeError(error);
      if (reason === entry.problem) return;
      entry.problem = reason;
      const what = entry.resource ? 'its last content stays in use' : 'what needs it does not work';
      this.#deps.log.warn(`a file for TLS cannot be used; ${what}`, { secretName: name, reason });
    }
  }

  #read({ name, source }: Entry): RepeatableSecret {
    const { directories } = this.#options;
    const read = (path: string): string => readAllowedFile(path, directories);
    if (source.kind === 'pair') {
      const chain = certificatesIn(read(source.certificate));
      const key = privateKeyIn(read(source.key), chain);
      return resource(name, chain, (padding) =>
        encodeTlsCertificate(name, `${chain}${padding}`, key),
      );
    }
    const lenient = source.kind === 'system';
    const path = lenient ? systemBundle() : source.path;
    const roots = certificatesIn(path === undefined ? rootsWithoutBundle() : read(path), {
      lenient,
    });
    return resource(name, roots, (padding) =>
      encodeValidationContext(name, { rootsPem: `${roots}${padding}` }),
    );
  }
}

function sourceOf(name: string): Source | undefined {
  if (name === `${ROOT_PREFIX}system`) return { kind: 'system' };
  if (name.startsWith(ROOT_PREFIX)) return { kind: 'roots', path: name.slice(ROOT_PREFIX.length) };
  if (!name.startsWith(PAIR_PREFIX)) return undefined;
  const [certificate, key, ...rest] = name.slice(PAIR_PREFIX.length).split('~');
  if (!certificate || !key || rest.length > 0) return undefined;
  return { kind: 'pair', certificate, key };
}

function filesOf(source: Source): readonly string[] {
  if (source.kind === 'pair') return [source.certificate, source.key];
  const path = source.kind === 'roots' ? source.path : systemBundle();
  return path === undefined ? [] : [path];
}

/** Versions come from the public part only: they are written into logs. */
function resource(
  name: string,
  publicPart: string,
  encode: RepeatableSecret['encode'],
): RepeatableSecret {
  return { name, version: versionOf(publicPart), encode };
}

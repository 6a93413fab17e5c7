import { constants } from 'node:fs';
import { access, mkdtemp, readdir, rm, rmdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import { ensurePrivateDirectory, pathExists } from '#base/files.ts';
import { LIMITS } from '#base/limits.ts';

/** Our folders for workloads; short, since paths of sockets are limited. */
const WORKLOAD_FOLDER = /^w\d+$/;
/** The longest name of a socket in such a folder. */
const LONGEST = `w${LIMITS.agentWorkloadsMax}/workload.sock`;
/** Permission bits that let the group or others in. */
const OTHERS = 0o077;

/**
 * Where the agent keeps its sockets and bootstrap files: a folder that only its owner may enter,
 * since who can connect to the SDS socket can have the key. Holds no secret itself.
 */
export class RunDirectory {
  readonly path: string;
  readonly #remove: boolean;

  private constructor(path: string, remove: boolean) {
    this.path = path;
    this.#remove = remove;
  }

  /**
   * Opens the given folder, made when there is none, or a new temporary one.
   * @throws BulwarkError AGENT_RUN_DIRECTORY_UNUSABLE
   */
  static async open(given: string | undefined): Promise<RunDirectory> {
    try {
      if (given === undefined) return new RunDirectory(await temporary(), true);
      const existed = await pathExists(given);
      checkLength(given);
      await ensurePrivateDirectory(given);
      await checkPrivate(given);
      return new RunDirectory(given, !existed);
    } catch (cause) {
      if (isBulwarkError(cause, 'AGENT_RUN_DIRECTORY_UNUSABLE')) throw cause;
      throw unusable(given ?? tmpdir(), 'cannot be made', 'check the folder above it', cause);
    }
  }

  /**
   * Whether a folder can be opened, without making it.
   * @returns what is well, for people
   * @throws BulwarkError AGENT_RUN_DIRECTORY_UNUSABLE
   */
  static async examine(path: string): Promise<string> {
    checkLength(path);
    if (await pathExists(path)) {
      await checkPrivate(path);
      return `${path} is private`;
    }
    await checkCanBeMade(path);
    return `${path} will be made`;
  }

  /** The socket of the agent's status; who listens there owns the folder. */
  get statusSocket(): string {
    return join(this.path, 'status.sock');
  }

  /** The folder of the n-th workload. */
  workload(index: number): string {
    return join(this.path, `w${index}`);
  }

  /** Removes what an agent that was killed left here. To be called by the owner only. */
  async clean(): Promise<void> {
    const names = await readdir(this.path).catch(() => []); // somebody was quicker
    const ours = names.filter((name) => WORKLOAD_FOLDER.test(name));
    await Promise.all(
      ours.map((name) => rm(join(this.path, name), { recursive: true, force: true })),
    );
  }

  /** Leaves the folder to whoever uses it; one that we made and nobody used goes. */
  async abandon(): Promise<void> {
    if (this.#remove) await rmdir(this.path).catch(() => undefined); // in use after all
  }

  /** Removes what is ours, and the folder when we made it. */
  async close(): Promise<void> {
    await this.clean();
    await rm(this.statusSocket, { force: true });
    await this.abandon();
  }
}

async function temporary(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'bulwark-'));
  checkLength(path);
  return path;
}

function checkLength(path: string): void {
  if (Buffer.byteLength(join(path, LONGEST)) <= LIMITS.socketPathBytesMax) return;
  const most = LIMITS.socketPathBytesMax - LONGEST.length - 1;
  throw unusable(path, 'is too long for sockets', `choose one of at most ${most} bytes`);
}

async function checkCanBeMade(path: string): Promise<void> {
  let above = dirname(resolve(path));
  while (!(await pathExists(above))) above = dirname(above);
  await access(above, constants.W_OK | constants.X_OK).catch((cause: unknown) => {
    throw unusable(path, `cannot be made in ${above}`, 'make it for the user of the agent', cause);
  });
}

async function checkPrivate(path: string): Promise<void> {
  const status = await stat(path);
  if (!status.isDirectory()) throw unusable(path, 'is no folder', 'choose another one');
  if (process.getuid && status.uid !== process.getuid())
    throw unusable(path, 'belongs to somebody else', 'choose one of your own');
  if ((status.mode & OTHERS) !== 0)
    throw unusable(path, 'may be entered by others', `chmod 700 ${path}`);
}

function unusable(path: string, problem: string, remedy: string, cause?: unknown): BulwarkError {
  return new BulwarkError('AGENT_RUN_DIRECTORY_UNUSABLE', `the run directory ${path} ${problem}`, {
    remedy,
    data: { path },
    cause,
  });
}

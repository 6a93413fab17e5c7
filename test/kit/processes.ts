import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A TCP socket that listens, and who holds it. Linux only. */
export interface ListeningSocket {
  readonly address: string;
  readonly port: number;
  readonly pid: number;
  /** What tells it from a later one on the same port. */
  readonly inode: string;
}

const LISTEN_STATE = '0A';

/** The process and everything it started, directly or not, that still runs. Linux only. */
export function processTree(root: number): readonly number[] {
  const children = new Map<number, number[]>();
  for (const pid of allPids()) {
    const parent = parentOf(pid);
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const tree: number[] = [];
  const open = [root];
  for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
    if (parentOf(pid) === undefined) continue;
    tree.push(pid);
    open.push(...(children.get(pid) ?? []));
  }
  return tree;
}

/** The TCP sockets on which these processes listen. */
export function listeningSockets(pids: readonly number[]): readonly ListeningSocket[] {
  const owners = new Map<string, number>();
  for (const pid of pids) for (const inode of socketInodes(pid)) owners.set(inode, pid);
  return allListening().flatMap((socket) => {
    const pid = owners.get(socket.inode);
    return pid === undefined ? [] : [{ ...socket, pid }];
  });
}

/** The TCP sockets on which anybody listens. */
export function allListening(): readonly Omit<ListeningSocket, 'pid'>[] {
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) =>
    readFileSync(table, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .flatMap(([, local = '', , state, , , , , , inode = '']) => {
        if (state !== LISTEN_STATE) return [];
        const [address = '', port = ''] = local.split(':');
        return [{ address: readAddress(address), port: Number.parseInt(port, 16), inode }];
      }),
  );
}

function allPids(): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Undefined when the process is gone, or only waits to be taken notice of. */
function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? undefined : Number(parent);
  } catch {
    return undefined; // it ended while we looked
  }
}

function socketInodes(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      const inode = /^socket:\[(\d+)\]$/.exec(readlink(`/proc/${pid}/fd/${fd}`))?.[1];
      return inode === undefined ? [] : [inode];
    });
  } catch {
    return []; // it ended while we looked
  }
}

function readlink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ''; // closed while we looked
  }
}

/** `0100007F` → `127.0.0.1`; IPv6 in 32 hex digits, words in host order. */
function readAddress(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  for (let word = 0; word < bytes.length; word += 4) bytes.subarray(word, word + 4).reverse();
  if (bytes.length === 4) return [...bytes].join('.');
  if (bytes.subarray(0, 15).every((byte) => byte === 0) && bytes[15] === 1) return '::1';
  return bytes.toString('hex');
}

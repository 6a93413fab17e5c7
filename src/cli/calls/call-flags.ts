import type { Command } from 'commander';
import { systemClock } from '#base/clock.ts';
import { type CallSpelling, readHeaders, readToken, usage } from '#cli/calls/call-spelling.ts';
import { readCall } from '#cli/calls/read-call.ts';
import type { CliContext } from '#cli/context.ts';
import { addMeshOptions, type MeshFlags, type MeshRead, readMesh } from '#cli/mesh/read-mesh.ts';
import { Decider, type FollowedCall } from '#policy/decide/decider.ts';

/** The flags of `addCallOptions`. */
export interface CallFlags extends MeshFlags {
  readonly from?: string;
  readonly to?: string;
  readonly through?: string;
  readonly certificate?: string | true;
  readonly ip?: string;
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly header?: readonly string[];
  readonly jwt?: string;
  readonly routes?: boolean;
}

/** Adds the flags that describe a call. */
export function addCallOptions(command: Command): Command {
  command
    .option('--from <caller>', 'NAMESPACE/ACCOUNT, a SPIFFE id, or "outside" of the mesh')
    .option('--to <service>', 'NAMESPACE/SERVICE[:PORT]')
    .option('--through <gateway>', 'the gateway that it comes in through: NAMESPACE/GATEWAY[:PORT]')
    .option(
      '--certificate [name]',
      'the caller from outside shows gateways a certificate that they trust, for this name',
    )
    .option('--method <method>', 'of the HTTP request (default: GET)')
    .option('--path <path>', 'of the HTTP request, with query (default: /)')
    .option('--host <host>', 'of the HTTP request (default: that of the service)')
    .option('--header <line...>', 'a header of the HTTP request, "Name: value"')
    .option('--jwt <claims|token>', 'claims of the end user as JSON, or a token; not verified')
    .option('--no-routes', 'ask the service itself, whatever VirtualServices say')
    .option('--ip <address>', 'the address that the call comes from');
  return addMeshOptions(command);
}

/** @throws BulwarkError CLI_USAGE when a header or the token cannot be read */
export function spellingOf(flags: CallFlags, from: string, to: string | undefined): CallSpelling {
  const { through, certificate, ip, method, path, host, header, jwt, routes } = flags;
  if (through !== undefined && routes === false)
    throw usage('--no-routes asks the service itself', 'leave --through out');
  return {
    from,
    to,
    through,
    certificate: certificate === true ? '' : certificate,
    ip,
    method,
    path,
    host,
    headers: header && readHeaders(header),
    token: jwt === undefined ? undefined : readToken(jwt),
    isRouted: routes === false ? true : undefined,
  };
}

/** What becomes of a call; the mesh is read first. Notes go to standard error. */
export async function decideCall(
  command: Command,
  context: CliContext,
  flags: MeshFlags,
  spelling: CallSpelling,
): Promise<{ readonly mesh: MeshRead; readonly decided: readonly FollowedCall[] }> {
  const mesh = await readMesh(command, context, flags);
  const { calls, notes } = readCall(spelling, mesh.snapshot, flags.namespace);
  for (const note of notes) context.stderr.write(`note: ${note}\n`);
  const decider = new Decider(mesh.snapshot);
  const now = systemClock.now();
  return { mesh, decided: calls.flatMap((call) => decider.follow(call, now)) };
}

/** Denied when one of the workloads denies: the caller cannot choose which one it gets. */
export function isAllowed(decided: readonly FollowedCall[]): boolean {
  return decided.every(({ decision }) => decision.decision === 'allow');
}

/** Those that differ in what is said of them: ten instances of one service are one answer. */
export function distinct(decided: readonly FollowedCall[]): readonly FollowedCall[] {
  const byWords = new Map(
    decided.map((one) => [JSON.stringify(one.decision.layers), one] as const).reverse(),
  );
  return [...byWords.values()].reverse();
}

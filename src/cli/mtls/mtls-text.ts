import type { MtlsPairView, MtlsView, ObjectView } from '#admin/mtls.ts';
import { objectText } from '#admin/strict-verdict.ts';
import type { JudgedPort } from '#cli/mtls/judged-ports.ts';
import { formatTable } from '#cli/table.ts';

const NAMED_MAX = 3;

/** `bulwark mtls status` for people. */
export function statusText(ports: readonly JudgedPort[], pairs: readonly MtlsPairView[]): string {
  if (ports.length === 0) return `No workload takes connections.\n${conflictText(pairs)}`;
  const header = ['WORKLOAD', 'PORT', 'MODE', 'SET BY', 'MTLS', 'PLAINTEXT', 'STRICT'];
  const rows = ports.map(({ workload, port, strict }) => [
    `${workload.namespace}/${workload.name}`,
    port.port === 0 ? 'others' : String(port.port),
    port.mode,
    decidedBy(port.setBy),
    port.seen ? String(port.seen.tls) : '?',
    port.seen ? String(port.seen.plaintext) : '?',
    strict.state.replace('-', ' ') + (strict.reason === '' ? '' : `: ${strict.reason}`),
  ]);
  return [formatTable([header, ...rows]), conflictText(pairs), plaintextNote(ports)].join('');
}

/** `bulwark mtls pairs` for people. */
export function pairsText(pairs: readonly MtlsPairView[]): string {
  if (pairs.length === 0) return 'No client calls a server of the mesh like that.\n';
  const header = ['CLIENTS', 'SERVICE', 'SERVERS', 'SENDS', 'BY', 'TAKES', 'BY', 'CONFLICT'];
  const rows = pairs.map((pair) => [
    some(pair.clients),
    serviceText(pair),
    some(pair.servers),
    pair.sends,
    decidedBy(pair.clientRule),
    pair.takes,
    decidedBy(pair.serverRule),
    pair.conflict ?? '-',
  ]);
  return formatTable([header, ...rows]);
}

/**
 * What every command that lists workloads or proxies says as long as some take plaintext; '' when
 * none does.
 */
export function permissiveNote({ workloads }: MtlsView): string {
  const ports = workloads.flatMap((workload) =>
    workload.proxy === 'none' ? [] : workload.ports.filter(({ port }) => port !== 0),
  );
  const open = ports.filter(({ mode }) => mode === 'PERMISSIVE').length;
  if (open === 0) return '';
  return `${open} of ${ports.length} ports take plaintext (PERMISSIVE); see bulwark mtls status\n`;
}

function conflictText(pairs: readonly MtlsPairView[]): string {
  const conflicts = pairs.filter(({ conflict }) => conflict !== undefined);
  if (conflicts.length === 0) return '';
  const lines = conflicts.map((pair) => {
    const said = [pair.clientRule, pair.serverRule].flatMap((rule) =>
      rule ? objectText(rule) : [],
    );
    const by = said.length > 0 ? ` (${said.join(' against ')})` : '';
    return `  ${some(pair.clients)} to ${serviceText(pair)}: ${pair.conflict}${by}\n`;
  });
  return `\nConnections that fail:\n${lines.join('')}`;
}

function plaintextNote(ports: readonly JudgedPort[]): string {
  const open = ports.filter(({ port: { mode } }) => mode === 'PERMISSIVE' || mode === 'DISABLE');
  return open.length === 0 ? '' : `\n${open.length} of ${ports.length} ports take plaintext.\n`;
}

function decidedBy(object: ObjectView | undefined): string {
  return object ? objectText(object) : '(default)';
}

function serviceText({ host, port, subset }: MtlsPairView): string {
  return `${host}:${port}${subset === '' ? '' : ` subset ${subset}`}`;
}

function some(names: readonly string[]): string {
  const more = names.length - NAMED_MAX;
  return names.slice(0, NAMED_MAX).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

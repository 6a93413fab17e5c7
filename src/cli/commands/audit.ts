import type { Command } from 'commander';
import { type CliContext, EXIT } from '#cli/context.ts';
import { addMeshOptions, type MeshFlags, readMesh } from '#cli/mesh/read-mesh.ts';
import { outputOption } from '#cli/output-option.ts';
import {
  type AuditedDifference,
  auditHardening,
  type HardeningAudit,
} from '#policy/hardening-audit.ts';

interface AuditFlags extends MeshFlags {
  readonly output: keyof typeof WRITERS;
  readonly exitCode?: boolean;
}

/**
 * `bulwark audit`: what the hardening profile of the mesh does, what the other one would change,
 * and what in the mesh is weaker than it could be.
 */
export function registerAuditCommand(program: Command, context: CliContext): void {
  const command = program
    .command('audit')
    .description('what in the mesh is weaker than it could be')
    .addOption(outputOption())
    .option('--exit-code', 'exit code 3 when something is');
  addMeshOptions(command).action(async (flags: AuditFlags) => {
    const write = WRITERS[flags.output];
    const { snapshot } = await readMesh(command, context, flags);
    const audit = auditHardening(snapshot);
    context.stdout.write(write(audit));
    if (flags.exitCode === true && audit.weaknesses.length > 0) process.exitCode = EXIT.denied;
  });
}

const WRITERS = {
  text: (audit) => `${profileText(audit)}\n${weaknessesText(audit)}`,
  json: (audit) => `${JSON.stringify(audit, null, 2)}\n`,
} as const satisfies Readonly<Record<string, (audit: HardeningAudit) => string>>;

/** Each difference, what the other profile makes of it, and which policies it is about. */
function profileText({ profile, differences }: HardeningAudit): string {
  const other = profile === 'strict' ? 'istio' : 'strict';
  const lines = differences.map((one) =>
    [`- ${one[profile]}\n`, `  ${other}: ${one[other]}\n`, about(one)].join(''),
  );
  return `The profile is ${profile}; ${other} would change:\n${lines.join('')}`;
}

function about({ reliedOnBy }: AuditedDifference): string {
  const more = reliedOnBy.length - NAMES_MAX;
  const shown = [...reliedOnBy.slice(0, NAMES_MAX), ...(more > 0 ? [`${more} more`] : [])];
  return shown.length === 0 ? '' : `  about ${shown.join(', ')}\n`;
}

const NAMES_MAX = 3;

function weaknessesText({ weaknesses }: HardeningAudit): string {
  if (weaknesses.length === 0) return 'Nothing is weaker than it could be.\n';
  const lines = weaknesses.map(({ from, what, remedy }) => `${from} ${what}\n    ${remedy}\n`);
  return `Weaker than it could be: ${weaknesses.length}\n\n${lines.join('')}`;
}

import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { CliContext } from '#cli/context.ts';
import { outputOption } from '#cli/output-option.ts';

/** `bulwark version`: our version and that of the Envoy that the set-up found. */
export function registerVersionCommand(program: Command, context: CliContext): void {
  program
    .command('version')
    .description('print the version')
    .addOption(outputOption())
    .action((options: { output: string }) => {
      const version = field('../../../package.json', 'version') ?? 'unknown';
      const envoy = field('../../../gen/envoy.json', 'version');
      if (options.output === 'json') {
        context.stdout.write(
          `${JSON.stringify({ version, envoy, node: process.versions.node })}\n`,
        );
        return;
      }
      context.stdout.write(`bulwark ${version}\nenvoy   ${envoy ?? 'not set up'}\n`);
      context.stdout.write(`node    ${process.versions.node}\n`);
    });
}

function field(path: string, name: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
    return (parsed as Record<string, string>)[name];
  } catch {
    return undefined; // not set up yet: the caller says so
  }
}

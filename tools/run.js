// The one door for npm scripts. Plain JavaScript that any Node from 18 on runs: it makes the
// checkout ready (tools/setup) and then hands over to the Node 24 that the set-up brought.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { setup } from './setup/setup.js';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What each npm script runs, as arguments for Node 24. */
const TARGETS = {
  demo: ['tools/demo.ts'],
  start: ['src/cli/main.ts', 'server'],
  cli: ['src/cli/main.ts'],
  test: ['tools/test.ts'],
  soak: ['tools/test.ts', '--soak'],
  lint: ['tools/lint.ts'],
  format: ['tools/lint.ts', '--write'],
  docs: ['tools/docs.ts'],
  bench: ['tools/bench.ts'],
  conformance: ['test/conformance/main.ts'],
};

/** Runs one target under Node 24, passing signals on, and exits as it exits. */
function runTarget(node, target, args) {
  const child = spawn(node, ['--disable-warning=ExperimentalWarning', ...target, ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal));
  }
  child.on('error', (error) => {
    process.stderr.write(`bulwark: cannot start ${node}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    process.exit(code ?? (signal === 'SIGINT' ? 130 : 1));
  });
}

const [name = '', ...args] = process.argv.slice(2);
try {
  const report = (line) => process.stderr.write(`setup: ${line}\n`);
  // What is measured is what users have.
  const isAsked = name === 'setup' || name === 'bench';
  const ready = await setup({ root, report, isAsked });
  const target = TARGETS[name];
  if (name === 'setup') process.stderr.write(`setup: ready (${ready.summary})\n`);
  else if (target) runTarget(ready.node, target, args);
  else {
    process.stderr.write(
      `bulwark: unknown target "${name}"; one of: setup ${Object.keys(TARGETS).join(' ')}\n`,
    );
    process.exit(64);
  }
} catch (error) {
  process.stderr.write(`setup: failed: ${error.message}\n`);
  if (!error.expected) process.stderr.write(`${error.stack}\n`);
  process.exit(1);
}

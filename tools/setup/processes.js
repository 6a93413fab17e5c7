import { spawn } from 'node:child_process';

/**
 * Runs a command to its end; its output goes to our standard error when `loud`, so that standard
 * output stays data.
 * @param {string} command @param {string[]} args
 * @param {{cwd?: string, env?: NodeJS.ProcessEnv, loud?: boolean, input?: Uint8Array}} [options]
 * @returns {Promise<{code: number, stdout: Buffer, stderr: string}>} code 127 when the command is
 * not there
 */
export function run(command, args, { cwd, env, loud = false, input } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    });
    const out = [];
    const err = [];
    child.stdout.on('data', (chunk) => (loud ? process.stderr.write(chunk) : out.push(chunk)));
    child.stderr.on('data', (chunk) => {
      err.push(chunk);
      if (loud) process.stderr.write(chunk);
    });
    child.on('error', (error) =>
      resolve({ code: 127, stdout: Buffer.alloc(0), stderr: error.message }),
    );
    child.on('close', (code) =>
      resolve({
        code: code ?? 1,
        stdout: Buffer.concat(out),
        stderr: Buffer.concat(err).toString(),
      }),
    );
    if (input) {
      child.stdin.on('error', () => {}); // the command ended early: its exit code tells
      child.stdin.end(input);
    }
  });
}

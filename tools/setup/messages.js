import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from './cache.js';
import { run } from './processes.js';
import { SetupError } from './setup-error.js';

const GENERATOR_FILES = [
  'tools/setup/messages.js',
  'tools/setup/generate.js',
  'tools/setup/descriptors.js',
  'tools/setup/roots.js',
];

/**
 * Typed messages in gen/: Envoy's from the descriptors its binary carries, ours from proto/. Keyed
 * by the content of everything that goes in, so that a second set-up, also of another checkout,
 * only copies.
 * @returns {Promise<boolean>} whether gen/ changed
 */
export async function ensureMessages({ root, report, env, envoy, node }) {
  const key = contentKey(root, envoy.sha256);
  const stamp = join(root, 'gen/.key');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === key) return false;
  const cached = join(cacheDirectory(env), 'gen', key);
  if (!existsSync(join(cached, '.key'))) await generate({ root, report, node, envoy, cached, key });
  for (const name of ['envoy-api', 'bulwark'])
    rmSync(join(root, 'gen', name), { recursive: true, force: true });
  cpSync(cached, join(root, 'gen'), { recursive: true });
  return true;
}

async function generate({ root, report, node, envoy, cached, key }) {
  report(`generating typed messages from Envoy ${envoy.version} and proto/`);
  mkdirSync(join(cached, '..'), { recursive: true });
  const work = mkdtempSync(join(cached, '..', 'making-'));
  try {
    const { code, stderr } = await run(
      node,
      [join(root, 'tools/setup/generate.js'), envoy.path, work],
      { cwd: root },
    );
    if (code !== 0) {
      throw new SetupError(`generating messages failed: ${stderr.trim().slice(-2000)}`, [
        `the Envoy in use is ${envoy.path} (${envoy.version}): unset BULWARK_ENVOY to use the tested one`,
      ]);
    }
    writeFileSync(join(work, '.key'), key);
    rmSync(cached, { recursive: true, force: true });
    try {
      renameSync(work, cached);
    } catch (error) {
      // Otherwise another set-up was first, and its result is the same.
      if (!existsSync(join(cached, '.key'))) throw error;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function contentKey(root, envoySha256) {
  const hash = createHash('sha256').update(envoySha256);
  const protos = readdirSync(join(root, 'proto'), { recursive: true })
    .map((name) => join('proto', String(name)))
    .filter((name) => name.endsWith('.proto'))
    .sort();
  for (const name of [...GENERATOR_FILES, ...protos])
    hash.update(name).update(readFileSync(join(root, name)));
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  for (const name of ['@bufbuild/protoc-gen-es', '@bufbuild/buf']) {
    hash.update(`${name}@${lock.packages[`node_modules/${name}`]?.version}`);
  }
  return hash.digest('hex').slice(0, 32);
}

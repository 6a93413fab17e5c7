import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './processes.js';
import { SetupError } from './setup-error.js';

const STAMP = 'node_modules/.bulwark/dependencies';

/** The Node major version that runs TypeScript and that the sources are written for. */
const NODE_MAJOR = 24;

/**
 * Installs exactly what package-lock.json says, when it is not there already.
 * @returns {Promise<boolean>} whether anything was installed
 */
export async function ensureDependencies({ root, report, env }) {
  const lock = readFileSync(join(root, 'package-lock.json'));
  const wanted = createHash('sha256')
    .update(lock)
    .update(`${process.platform}-${process.arch}`)
    .digest('hex');
  const stamp = join(root, STAMP);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted && nodeIsThere(root))
    return false;
  refuseLink(join(root, 'node_modules'));
  report('installing dependencies (npm ci)');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const result = await run(npm, ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    env: { ...env, npm_config_omit: '', NODE_ENV: '' },
    loud: true,
  });
  if (result.code === 127) {
    throw new SetupError('npm was not found', [
      'install Node.js 20 or newer together with npm, then run this again',
    ]);
  }
  if (result.code !== 0)
    throw new SetupError(`npm ci ended with code ${result.code}`, npmWaysOut(result.stderr));
  if (!nodeIsThere(root)) {
    throw new SetupError(
      `there is no Node ${NODE_MAJOR} for ${process.platform} ${process.arch} in the dependencies`,
      [
        `install Node ${NODE_MAJOR} yourself and run this again with it`,
        'supported: Linux x86-64 and arm64, macOS arm64',
      ],
    );
  }
  mkdirSync(join(root, 'node_modules/.bulwark'), { recursive: true });
  writeFileSync(stamp, wanted);
  return true;
}

/** npm empties the folder behind a link first, which is that of another checkout. */
function refuseLink(path) {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return;
  throw new SetupError('node_modules is a link, and to install would empty what it leads to', [
    'remove the link, then run this again: this checkout gets dependencies of its own',
    'or use the package-lock.json that those dependencies were installed from',
  ]);
}

/**
 * The Node executable to run with: ours from the dependencies, or the running one when it is new
 * enough.
 */
export function findNode(root) {
  const ours = join(root, 'node_modules/.bin/node');
  return existsSync(ours) ? ours : process.execPath;
}

function nodeIsThere(root) {
  const runningMajor = Number(process.versions.node.split('.')[0]);
  return existsSync(join(root, 'node_modules/.bin/node')) || runningMajor >= NODE_MAJOR;
}

function npmWaysOut(stderr) {
  if (/ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|network/i.test(stderr)) {
    return [
      'the package registry was not reached: check the network, or the proxy settings (npm config list)',
      'behind a mirror: npm config set registry ADDRESS, then run this again',
    ];
  }
  if (/ENOSPC/.test(stderr)) return ['the disk is full: about 600 MB are needed'];
  if (/EACCES|EPERM/.test(stderr))
    return ['the checkout is not writable for this user: change its owner, or clone it anew'];
  return ['the lines above are from npm; mend what they name and run this again'];
}

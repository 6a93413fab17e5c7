import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, posix, relative } from 'node:path';
import { run } from './processes.js';

const ENTRY = 'src/cli/main.ts';
/** The commands that the bundle is for: bin/bulwark.js takes it for the same ones. */
const RESIDENT = ['agent', 'run', 'gateway'];
const COMPILER = 'node_modules/typescript/bin/tsc';
/** What each module is turned to: one function of CommonJS, whose types are gone. */
const COMPILER_OPTIONS = [
  ['--ignoreConfig', '--noCheck', '--skipLibCheck', '--removeComments'],
  ['--target', 'es2024', '--lib', 'es2024,esnext.disposable', '--types', 'node'],
  ['--module', 'commonjs', '--moduleResolution', 'bundler', '--esModuleInterop', '--allowJs'],
].flat();

/** Packages of modules of ECMAScript that the compiler turns, too: those that each agent loads. */
const TURNED_PACKAGES = ['commander'];

/**
 * All modules of an agent in one file, gen/agent/bundle.cjs, with gen/agent/inputs.json, which says
 * what it was made of. Finding and reading 200 modules takes half of an agent's start, and 9 MB.
 * Whoever changes a source runs the sources, until the next set-up: bin/bulwark.js compares.
 * @param {{root: string, report: (line: string) => void, node: string}} options
 * @returns {Promise<boolean>} whether it was made
 */
export async function ensureAgentBundle({ root, report, node }) {
  if (!existsSync(join(root, ENTRY)) || !existsSync(join(root, COMPILER))) return false;
  const place = join(root, 'gen/agent');
  if (isFresh(root, join(place, 'inputs.json'))) return false;
  report('putting the modules of agents into one file');
  mkdirSync(join(root, 'gen'), { recursive: true });
  const work = mkdtempSync(join(root, 'gen/making-'));
  try {
    const startedAt = Date.now();
    const options = [...COMPILER_OPTIONS, '--rootDir', root, '--outDir', join(work, 'js')];
    const packages = TURNED_PACKAGES.map((name) => new TurnedPackage(root, work, name));
    const entries = [join(root, ENTRY), ...packages.map(({ entry }) => entry)];
    const { code, stderr, stdout } = await run(
      node,
      [join(root, COMPILER), ...options, ...entries],
      { cwd: root },
    );
    const bundle = code === 0 ? new Bundle(root, join(work, 'js'), packages) : undefined;
    if (!bundle || bundle.inputs.some(({ mtimeMs }) => mtimeMs > startedAt)) {
      const why = bundle ? 'they changed meanwhile' : `${stdout}${stderr}`.trim().slice(-500);
      report(`agents start from their sources: ${why}`);
      return false;
    }
    const made = join(work, 'agent');
    mkdirSync(made);
    writeFileSync(join(made, 'bundle.cjs'), bundle.text);
    writeFileSync(join(made, 'inputs.json'), JSON.stringify(bundle.inputs));
    rmSync(place, { recursive: true, force: true });
    try {
      renameSync(made, place);
    } catch (error) {
      // Otherwise another set-up was first, and its result is the same.
      if (!existsSync(join(place, 'inputs.json'))) throw error;
    }
    return true;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** As bin/bulwark.js looks at it. */
function isFresh(root, manifest) {
  try {
    return JSON.parse(readFileSync(manifest, 'utf8')).every(({ path, size, mtimeMs }) => {
      const now = statSync(join(root, path));
      return now.size === size && now.mtimeMs === mtimeMs;
    });
  } catch {
    return false;
  }
}

/** `require` of a text, as compilers and people write it. */
const REQUIRE = /\brequire\((?:"([^"\n]+)"|'([^'\n]+)')\)/g;
/** How a module names the function that it requires others by. */
const OWN_REQUIRE = /\bconst (\w+) = \(0, node_module_\d+\.createRequire\)\(import\.meta\.url\);/;
/** What becomes of `import()` of a text. */
const DYNAMIC_IMPORT =
  /Promise\.resolve\(\)\.then\(\(\) => __importStar\(require\((?:"([^"\n]+)"|'([^'\n]+)')\)\)\)/g;

const PROTOBUF = 'node_modules/@bufbuild/protobuf/dist';
const WIRE_FILE = `${PROTOBUF}/cjs/wire/binary-encoding.js`;
const WIRE_MEMBERS = ['BinaryReader', 'BinaryWriter', 'WireType'];

/** A copy of a package outside of `node_modules`, where the compiler turns nothing. */
class TurnedPackage {
  /** The copy of its main module. */
  entry;
  #root;
  #folder;
  #copy;

  constructor(root, work, name) {
    const main = createRequire(join(root, ENTRY)).resolve(name);
    this.#root = root;
    this.#folder = join(
      main.slice(0, main.lastIndexOf(`node_modules/${name}/`)),
      'node_modules',
      name,
    );
    this.#copy = join(work, 'packages', name);
    this.entry = join(this.#copy, relative(this.#folder, main));
    const isWanted = (path) => statSync(path).isDirectory() || path.endsWith('.js');
    cpSync(this.#folder, this.#copy, { recursive: true, filter: isWanted });
  }

  /** The copy of one of its modules, counted from the root as that is. */
  copyOf(path) {
    const inside = relative(this.#folder, join(this.#root, path));
    return inside.startsWith('..') ? undefined : relative(this.#root, join(this.#copy, inside));
  }
}

/** Modules by number, each as a function; the entry is number 0. */
class Bundle {
  #root;
  #compiled;
  #packages;
  #numbers = new Map();
  #functions = [];

  /**
   * @param {string} root
   * @param {string} compiled where the compiler put our modules, and those of the packages
   * @param {readonly TurnedPackage[]} packages
   */
  constructor(root, compiled, packages) {
    this.#root = root;
    this.#compiled = compiled;
    this.#packages = packages;
    this.#add(ENTRY);
  }

  get inputs() {
    const paths = [...this.#numbers.keys(), 'tools/setup/agent-bundle.js'];
    return paths.map((path) => {
      const { size, mtimeMs } = statSync(join(this.#root, path));
      return { path, size, mtimeMs };
    });
  }

  get text() {
    const paths = JSON.stringify([...this.#numbers.keys()]);
    const text = `${PRELUDE}\nconst PATHS = ${paths};\nconst MODULES = {\n${this.#functions.join(',\n')}\n};
module.exports = __module(0);\n`;
    // One byte for each character, in memory too.
    return text.replace(
      /[^\0-\x7f]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  }

  #add(path) {
    const known = this.#numbers.get(path);
    if (known !== undefined) return known;
    const number = this.#numbers.size;
    this.#numbers.set(path, number);
    const text = withoutOwnRequire(this.#textOf(path))
      .replace(DYNAMIC_IMPORT, (all, ...[double, single]) => {
        const name = double ?? single;
        const isOther = name.startsWith('#cli/commands/') && !RESIDENT.includes(commandOf(name));
        return isOther ? `import(${JSON.stringify(name)})` : all;
      })
      .replace(REQUIRE, (...[all, double, single, , whole]) => {
        const name = double ?? single;
        const wanted = isWireOnly(name, whole) ? join(this.#root, WIRE_FILE) : name;
        return this.#reference(wanted, path) ?? all;
      })
      .replaceAll('import.meta.url', `__urlOf(${JSON.stringify(path)})`);
    // The command line waits for its command at its top level.
    const kind = path === ENTRY ? 'async function' : 'function';
    this.#functions[number] = `${number}: ${kind} (module, exports, require) {\n${text}\n}`;
    return number;
  }

  #reference(name, from) {
    // As generated messages import it, which are left to Node; loaded when the first is needed.
    if (name === '@bufbuild/protobuf' && isOurs(from))
      return `require(__root + '/${PROTOBUF}/esm/index.js')`;
    const found = this.#resolve(name, from);
    if (found === undefined) return undefined;
    if (found.startsWith('node:')) return `process.getBuiltinModule(${JSON.stringify(found)})`;
    return this.#isCommonJs(found) ? `__module(${this.#add(found)})` : undefined;
  }

  #resolve(name, from) {
    if (name.startsWith('node:')) return name;
    if (name.startsWith('#gen/')) return name.slice(1);
    if (name.startsWith('#')) return `src/${name.slice(1)}`;
    if (isOurs(from)) {
      if (name.startsWith('.')) return posix.join(posix.dirname(from), name);
    }
    try {
      const found = createRequire(join(this.#root, from)).resolve(name);
      return found.startsWith('/') ? relative(this.#root, found) : `node:${found}`;
    } catch {
      return undefined;
    }
  }

  #textOf(path) {
    const turned = isOurs(path) ? path : this.#turnedCopyOf(path);
    const compiled = turned && join(this.#compiled, turned.replace(/\.ts$/, '.js'));
    return readFileSync(compiled ?? join(this.#root, path), 'utf8');
  }

  #turnedCopyOf(path) {
    for (const one of this.#packages) {
      const copy = one.copyOf(path);
      if (copy) return copy;
    }
    return undefined;
  }

  /** Modules of packages that are none are left to Node. */
  #isCommonJs(path) {
    if (isOurs(path) || path.endsWith('.cjs') || this.#turnedCopyOf(path)) return true;
    if (!path.endsWith('.js')) return false;
    for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) {
      const file = join(this.#root, folder, 'package.json');
      if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')).type !== 'module';
    }
    return false;
  }
}

/**
 * Whether a module of ours takes from this package only what one file of it has. The rest, with all
 * the descriptors of protobuf, would be more than an agent is.
 */
function isWireOnly(name, text) {
  if (name !== '@bufbuild/protobuf/wire') return false;
  const used = [...text.matchAll(/\bwire_\d+\.(\w+)/g)].map(([, member]) => member);
  return used.length > 0 && used.every((member) => WIRE_MEMBERS.includes(member));
}

/** One that requires others by a function of its own does it by the usual one. */
function withoutOwnRequire(text) {
  const [whole, name] = OWN_REQUIRE.exec(text) ?? [];
  if (!whole) return text;
  return text.replace(whole, '').replaceAll(new RegExp(`\\b${name}\\((?=["'])`, 'g'), 'require(');
}

function isOurs(path) {
  return path.startsWith('src/');
}

function commandOf(name) {
  return posix.basename(name, '.ts');
}

const PRELUDE = `// Made at set-up by tools/setup/agent-bundle.js.
const __root = require('node:path').join(__dirname, '../..');
const __urlOf = (path) => String(require('node:url').pathToFileURL(__root + '/' + path));
const __loaded = [];
function __module(number) {
  const known = __loaded[number];
  if (known) return known.exports;
  const module = { exports: {} };
  __loaded[number] = module;
  const require_ = (name) =>
    require('node:module').createRequire(__root + '/' + PATHS[number])(name);
  const done = MODULES[number].call(module.exports, module, module.exports, require_);
  if (number === 0) module.exports = done;
  return module.exports;
}`;

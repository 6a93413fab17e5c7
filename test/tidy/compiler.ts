import type { SourceFile } from 'typescript/unstable/ast';
import { createVirtualFileSystem } from 'typescript/unstable/fs';
import { API } from 'typescript/unstable/sync';

// The TypeScript version is pinned, so its programming interface is stable for us, whatever the
// module is called.

/** The files of every parse, each below a directory of its own. */
const FILES = createVirtualFileSystem({});
let parses = 0;
let compiler: API | undefined;

/** The compiler's process: started with the first parse, ended with ours. */
function startedCompiler(): API {
  compiler ??= new API({ cwd: '/', fs: FILES });
  return compiler;
}

/** The syntax trees of files given by path; no types are looked up and no imports followed. */
export function parseFiles(files: ReadonlyMap<string, string>): ReadonlyMap<string, SourceFile> {
  parses += 1;
  const root = `/parse-${parses}`;
  const config = `${root}/tsconfig.json`;
  const compilerOptions = {
    allowJs: true,
    allowImportingTsExtensions: true,
    module: 'nodenext',
    noEmit: true,
    noLib: true,
    noResolve: true,
    types: [],
  };
  FILES.writeFile?.(config, JSON.stringify({ compilerOptions, files: [...files.keys()] }));
  for (const [path, text] of files) FILES.writeFile?.(`${root}/${path}`, text);
  const project = startedCompiler()
    .updateSnapshot({ openProjects: [config] })
    .getProject(config);
  const trees = new Map<string, SourceFile>();
  for (const path of files.keys()) {
    const tree = project?.program.getSourceFile(`${root}/${path}`);
    if (tree) trees.set(path, tree);
  }
  return trees;
}

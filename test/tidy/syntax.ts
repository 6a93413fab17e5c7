import {
  type CallExpression,
  isArrowFunction,
  isCallExpression,
  isClassDeclaration,
  isConstructorDeclaration,
  isExportDeclaration,
  isFunctionDeclaration,
  isFunctionExpression,
  isGetAccessorDeclaration,
  isIdentifier,
  isImportDeclaration,
  isImportSpecifier,
  isImportTypeNode,
  isInterfaceDeclaration,
  isMethodDeclaration,
  isNamedExports,
  isNamedImports,
  isNewExpression,
  isObjectBindingPattern,
  isPropertyAccessExpression,
  isPropertyAssignment,
  isSetAccessorDeclaration,
  isTypeAliasDeclaration,
  isVariableDeclaration,
  isVariableStatement,
  type Node,
  type SourceFile,
  SyntaxKind,
} from 'typescript/unstable/ast';
import { parseFiles } from './compiler.ts';

/** `names` are the exported names taken from the module; `all` when that cannot be told. */
export interface ImportFact {
  readonly specifier: string;
  readonly names: readonly string[] | 'all';
  readonly typeOnly: boolean;
  readonly line: number;
}

/** A name that a file exports. */
export interface ExportFact {
  readonly name: string;
  readonly kind: 'value' | 'type';
  readonly line: number;
  readonly documented: boolean;
}

/** A function with its length, the callbacks given to test() and describe() not counted. */
export interface FunctionFact {
  readonly name: string;
  readonly line: number;
  readonly lineCount: number;
}

/** A use of a global: `Date.now`, `setTimeout`, `process.env`. */
export interface GlobalUse {
  readonly name: string;
  readonly line: number;
}

/** What the rules need to know of a file's syntax. */
export interface SyntaxFacts {
  readonly imports: readonly ImportFact[];
  readonly exports: readonly ExportFact[];
  readonly functions: readonly FunctionFact[];
  readonly globals: readonly GlobalUse[];
  /** How often each identifier occurs, declarations included. */
  readonly identifiers: ReadonlyMap<string, number>;
}

const WATCHED_MEMBERS = new Set(['Date.now', 'Math.random', 'performance.now', 'process.env']);
const WATCHED_NAMES = new Set(['setTimeout', 'setInterval', 'setImmediate']);
const TEST_CALLS = new Set([
  'after',
  'afterEach',
  'before',
  'beforeEach',
  'describe',
  'it',
  'test',
]);

/** Parses files given by path, and collects the facts of each. */
export function syntaxFactsOf(
  files: ReadonlyMap<string, string>,
): ReadonlyMap<string, SyntaxFacts> {
  const trees = [...parseFiles(files)];
  return new Map(trees.map(([path, tree]) => [path, new Collector(tree).collect()]));
}

/** Walks one tree. */
class Collector {
  readonly #tree: SourceFile;
  readonly #imports: ImportFact[] = [];
  readonly #exports: ExportFact[] = [];
  readonly #functions: FunctionFact[] = [];
  readonly #globals: GlobalUse[] = [];
  readonly #identifiers = new Map<string, number>();

  constructor(tree: SourceFile) {
    this.#tree = tree;
  }

  collect(): SyntaxFacts {
    for (const statement of this.#tree.statements) {
      this.#importsOf(statement);
      this.#exportsOf(statement);
    }
    this.#visit(this.#tree, undefined);
    return {
      imports: this.#imports,
      exports: this.#exports,
      functions: this.#functions,
      globals: this.#globals,
      identifiers: this.#identifiers,
    };
  }

  #lineOf(position: number): number {
    return this.#tree.getLineAndCharacterOfPosition(position).line + 1;
  }

  #startLine(node: Node): number {
    return this.#lineOf(node.getStart(this.#tree));
  }

  #lineCount(node: Node): number {
    return this.#lineOf(node.end) - this.#startLine(node) + 1;
  }

  #addImport(
    node: Node,
    specifier: Node | undefined,
    from: Omit<ImportFact, 'specifier' | 'line'>,
  ) {
    const literal = /^(['"`])([^$]*)\1$/.exec(specifier?.getText(this.#tree) ?? '')?.[2];
    if (literal === undefined) return; // computed: nobody can tell
    this.#imports.push({ ...from, specifier: literal, line: this.#startLine(node) });
  }

  #importsOf(node: Node): void {
    if (isImportDeclaration(node)) {
      const clause = node.importClause;
      const typeOnly = clause?.phaseModifier === SyntaxKind.TypeKeyword;
      const named = clause?.namedBindings;
      const names: string[] = clause?.name ? ['default'] : [];
      if (named && isNamedImports(named)) {
        for (const item of named.elements) names.push((item.propertyName ?? item.name).text);
      }
      const all = named !== undefined && !isNamedImports(named);
      this.#addImport(node, node.moduleSpecifier, { names: all ? 'all' : names, typeOnly });
    } else if (isExportDeclaration(node) && node.moduleSpecifier) {
      const clause = node.exportClause;
      const names =
        clause && isNamedExports(clause)
          ? clause.elements.map((item) => (item.propertyName ?? item.name).text)
          : 'all';
      this.#addImport(node, node.moduleSpecifier, { names, typeOnly: node.isTypeOnly });
    }
  }

  #exportsOf(node: Node): void {
    const line = this.#startLine(node);
    const documented = /\/\*\*/.test(this.#tree.text.slice(node.pos, node.getStart(this.#tree)));
    const add = (name: string | undefined, kind: 'value' | 'type'): void => {
      if (name) this.#exports.push({ name, kind, line, documented });
    };
    if (isExportDeclaration(node)) {
      const clause = node.exportClause;
      if (!clause || !isNamedExports(clause)) return;
      for (const item of clause.elements) {
        add(item.name.text, node.isTypeOnly || item.isTypeOnly ? 'type' : 'value');
      }
    } else if (!/^export\b/.test(node.getText(this.#tree))) {
      return;
    } else if (isFunctionDeclaration(node) || isClassDeclaration(node)) {
      add(node.name?.text ?? 'default', 'value');
    } else if (isInterfaceDeclaration(node) || isTypeAliasDeclaration(node)) {
      add(node.name.text, 'type');
    } else if (isVariableStatement(node)) {
      for (const declaration of node.declarationList.declarations) {
        if (isIdentifier(declaration.name)) add(declaration.name.text, 'value');
      }
    }
  }

  #visit(node: Node, parent: Node | undefined): void {
    if (isIdentifier(node)) this.#identifier(node.text, node, parent);
    else if (isPropertyAccessExpression(node)) this.#member(node.getText(this.#tree), node);
    else if (isNewExpression(node) && /^new Date(\(\))?$/.test(node.getText(this.#tree)))
      this.#globals.push({ name: 'new Date()', line: this.#startLine(node) });
    else if (isCallExpression(node) && node.expression.kind === SyntaxKind.ImportKeyword)
      this.#addImport(node, node.arguments[0], { names: namesTaken(parent), typeOnly: false });
    else if (isImportTypeNode(node)) {
      const names = node.qualifier && isIdentifier(node.qualifier) ? [node.qualifier.text] : 'all';
      this.#addImport(node, node.argument, { names, typeOnly: true });
    } else if (isFunction(node)) this.#function(node, parent);
    node.forEachChild((child) => {
      this.#visit(child, isAwait(node) ? parent : node);
      return undefined;
    });
  }

  #identifier(name: string, node: Node, parent: Node | undefined): void {
    this.#identifiers.set(name, (this.#identifiers.get(name) ?? 0) + 1);
    if (!WATCHED_NAMES.has(name) || !parent || isImportSpecifier(parent)) return;
    const isMember = isPropertyAccessExpression(parent) && parent.expression !== node;
    const isKey = isPropertyAssignment(parent) && parent.name === node;
    if (!isMember && !isKey) this.#globals.push({ name, line: this.#startLine(node) });
  }

  #member(text: string, node: Node): void {
    const name = text.replace(/^globalThis\./, '');
    if (WATCHED_MEMBERS.has(name)) this.#globals.push({ name, line: this.#startLine(node) });
  }

  #function(node: Node, parent: Node | undefined): void {
    if (parent && isTestCall(parent)) return;
    const named =
      isVariableDeclaration(parent ?? node) || isPropertyAssignment(parent ?? node) ? parent : node;
    const name = (named as { name?: Node }).name?.getText(this.#tree) ?? 'function';
    const lineCount = this.#lineCount(node) - this.#linesOfTests(node);
    this.#functions.push({ name, line: this.#startLine(node), lineCount });
  }

  #linesOfTests(node: Node): number {
    let count = 0;
    node.forEachChild((child) => {
      count += isTestCall(child) ? this.#lineCount(child) : this.#linesOfTests(child);
      return undefined;
    });
    return count;
  }
}

function isFunction(node: Node): boolean {
  return (
    isFunctionDeclaration(node) ||
    isFunctionExpression(node) ||
    isArrowFunction(node) ||
    isMethodDeclaration(node) ||
    isConstructorDeclaration(node) ||
    isGetAccessorDeclaration(node) ||
    isSetAccessorDeclaration(node)
  );
}

function isTestCall(node: Node): node is CallExpression {
  return (
    isCallExpression(node) && isIdentifier(node.expression) && TEST_CALLS.has(node.expression.text)
  );
}

function isAwait(node: Node): boolean {
  return node.kind === SyntaxKind.AwaitExpression;
}

/** The names that `const { a, b } = await import(…)` takes; all of them for any other form. */
function namesTaken(parent: Node | undefined): readonly string[] | 'all' {
  if (!parent || !isVariableDeclaration(parent) || !isObjectBindingPattern(parent.name))
    return 'all';
  return parent.name.elements.map((element) => {
    const name = element.propertyName ?? element.name;
    return name && isIdentifier(name) ? name.text : '';
  });
}

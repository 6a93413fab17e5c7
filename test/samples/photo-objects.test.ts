// The objects of the photo sample are valid, refer to each other, and say what the documents ask
// for.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import type { ApiObject } from '#api/object.ts';
import { validateObject } from '#api/validate.ts';

const SAMPLE = new URL('../../samples/photo/', import.meta.url);

const objects = readdirSync(SAMPLE)
  .filter((name) => name.endsWith('.yaml'))
  .sort()
  .flatMap((name) => parseAllDocuments(readFileSync(new URL(name, SAMPLE), 'utf8')))
  .map((document): ApiObject => document.toJS());

const of = (kind: string): ApiObject[] => objects.filter((object) => object.kind === kind);
const namesOf = (kind: string): string[] =>
  of(kind).map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);

describe('the objects of the photo sample', () => {
  test('are valid, without a warning', () => {
    for (const object of objects) {
      const { diagnostics } = validateObject(object);
      assert.deepEqual(diagnostics, [], `${object.kind} ${object.metadata.name}`);
    }
  });

  test('come after the namespace they are in', () => {
    const known = new Set<string>();
    for (const { kind, metadata } of objects) {
      if (kind === 'Namespace') known.add(metadata.name);
      else assert.ok(known.has(metadata.namespace ?? ''), `${kind} ${metadata.name}`);
    }
  });

  test('give each tier an account, a service and a group', () => {
    const tiers = ['photo-ns/photo-frontend', 'photo-ns/photo-backend', 'datastore-ns/datastore'];
    for (const kind of ['ServiceAccount', 'Service', 'WorkloadGroup'])
      assert.deepEqual(namesOf(kind), tiers, kind);
  });

  test('let only the tier before it call the backend and the datastore', () => {
    const callers = of('AuthorizationPolicy').map((policy) => {
      const { rules } = (policy as ApiObject & { spec: { rules: { from?: unknown }[] } }).spec;
      return [policy.metadata.name, rules.map(({ from }) => from)];
    });
    const only = (account: string) => [
      [{ source: { principals: [`cluster.local/ns/photo-ns/sa/${account}`] } }],
    ];
    assert.deepEqual(callers, [
      ['photo-frontend-page', [undefined]],
      ['photo-backend-callers', only('photo-frontend')],
      ['datastore-callers', only('photo-backend')],
    ]);
  });
});

// validateObject as a whole: which kind it is, what is told, and that nothing makes it throw.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { KINDS } from '#api/kinds.ts';
import { validateChange, validateObject } from '#api/validate.ts';
import { LIMITS } from '#base/limits.ts';

const config = (fields: object, metadata: object = { name: 'a' }): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata,
  ...fields,
});

const messagesOf = (object: unknown): string[] =>
  validateObject(object).diagnostics.map(({ field, message }) => `${field}: ${message}`);

describe('the kind', () => {
  test('is known by apiVersion and kind, in every served version', () => {
    for (const apiVersion of ['v1', 'v1beta1', 'v1alpha3']) {
      const rule = {
        apiVersion: `networking.istio.io/${apiVersion}`,
        kind: 'DestinationRule',
        metadata: { name: 'a' },
        spec: { host: 'a' },
      };
      assert.equal(validateObject(rule).kind?.id, 'destinationrules.networking.istio.io');
      assert.equal(validateObject(rule).object, rule);
    }
  });

  test('must be said', () => {
    assert.deepEqual(messagesOf({ kind: 'ConfigMap' }), ['apiVersion: Required value']);
    assert.deepEqual(messagesOf({ apiVersion: 'v1' }), ['kind: Required value']);
    assert.match(messagesOf({ apiVersion: 'v1', kind: 5 })[0] ?? '', /^kind: .*type string/);
    assert.match(messagesOf({ apiVersion: {}, kind: 'A' })[0] ?? '', /^apiVersion: .*type string/);
  });

  test('when unknown, the near one is suggested with its versions', () => {
    const [found] = validateObject({
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorisationPolicy',
    }).diagnostics;
    assert.equal(
      found?.message,
      'no matches for kind "AuthorisationPolicy" in version "security.istio.io/v1"',
    );
    assert.equal(
      found?.remedy,
      'did you mean "AuthorizationPolicy" in version security.istio.io/v1, security.istio.io/v1beta1?',
    );
    assert.equal(found?.reason, 'KindUnknown');
    const [far] = validateObject({ apiVersion: 'x/v1', kind: 'Toaster' }).diagnostics;
    assert.equal(far?.remedy, undefined);
  });

  test('in a version that is not served is told at apiVersion', () => {
    const [found] = validateObject({ apiVersion: 'v2', kind: 'Service' }).diagnostics;
    assert.equal(found?.field, 'apiVersion');
    assert.equal(found?.remedy, 'did you mean "Service" in version v1?');
  });
});

describe('findings', () => {
  test('no object, no matter what it is instead', () => {
    for (const value of [null, undefined, 5, 'x', [], true]) {
      const { object, diagnostics } = validateObject(value);
      assert.equal(object, undefined);
      assert.match(diagnostics[0]?.message ?? '', /must be an object/);
    }
  });

  test('of schema and metadata carry the path, the accepted values and a reason', () => {
    const policy = {
      apiVersion: 'security.istio.io/v1',
      kind: 'PeerAuthentication',
      metadata: { name: 'a' },
      spec: { mtls: { mode: 'strict' } },
    };
    assert.deepEqual(validateObject(policy).diagnostics, [
      {
        severity: 'error',
        field: 'spec.mtls.mode',
        message:
          'Unsupported value: "strict": supported values: "UNSET", "DISABLE", "PERMISSIVE", "STRICT"',
        reason: 'FieldValueNotSupported',
        remedy: 'did you mean "STRICT"?',
      },
    ]);
  });

  test('unknown fields refuse the object, or are left out with a warning when asked', () => {
    const wrong = config({ datas: {}, data: { a: 'b' } });
    const strict = validateObject(wrong);
    assert.equal(strict.object, undefined);
    assert.deepEqual(
      strict.diagnostics.map(({ message }) => message),
      ['unknown field "datas"'],
    );
    const lax = validateObject(wrong, { unknownFields: 'warning' });
    assert.deepEqual(lax.object, config({ data: { a: 'b' } }));
    assert.deepEqual(
      lax.diagnostics.map(({ severity }) => severity),
      ['warning'],
    );
  });

  test('rules of the kind wait until the schema fits', () => {
    assert.deepEqual(messagesOf(config({ data: { '..': 1 } })).length, 1);
    assert.match(messagesOf(config({ data: { '..': '1' } }))[0] ?? '', /must not be/);
  });

  test('beyond the limit are counted, not told', () => {
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`field${n}`, n]));
    const { object, diagnostics } = validateObject(config(many));
    assert.equal(object, undefined);
    assert.equal(diagnostics.length, LIMITS.diagnosticsPerObjectMax + 1);
    assert.equal(diagnostics.at(-1)?.message, '4900 more findings are not shown');
  });

  test('an error counts though warnings came first', () => {
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`field${n}`, n]));
    const { object } = validateObject(config({ ...many, data: { a: 1 } }), {
      unknownFields: 'warning',
    });
    assert.equal(object, undefined);
  });

  test('a null field is left out of the object', () => {
    assert.deepEqual(validateObject(config({ data: null })).object, config({}));
  });
});

describe('metadata', () => {
  test('needs a name', () => {
    const missing = 'metadata.name: Required value: name or generateName is required';
    assert.deepEqual(messagesOf({ apiVersion: 'v1', kind: 'ConfigMap' }), [missing]);
    assert.deepEqual(messagesOf(config({}, {})), [missing]);
    assert.deepEqual(messagesOf(config({}, { name: '' })), [missing]);
    assert.match(messagesOf(config({}, { name: 'Bad_Name' }))[0] ?? '', /RFC 1123 subdomain/);
    assert.match(
      messagesOf(config({}, { name: 'a', generateName: 'B-' }))[0] ?? '',
      /generateName/,
    );
    assert.deepEqual(messagesOf(config({}, { name: 'a', generateName: 'b-' })), []);
  });

  test('has a namespace where the kind has, and only there', () => {
    assert.deepEqual(messagesOf(config({}, { name: 'a', namespace: 'b' })), []);
    assert.match(messagesOf(config({}, { name: 'a', namespace: 'b.c' }))[0] ?? '', /dots/);
    const namespace = {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'a', namespace: 'b' },
    };
    assert.deepEqual(messagesOf(namespace), [
      'metadata.namespace: Forbidden: not allowed on this type',
    ]);
  });

  test('has labels and annotations of the right form and size', () => {
    const good = {
      name: 'a',
      labels: { 'k8s.io/a': 'B_1', b: '' },
      annotations: { 'X.io/A': 'b c' },
    };
    assert.deepEqual(messagesOf(config({}, good)), []);
    const labels = messagesOf(config({}, { name: 'a', labels: { 'x y': 'z z' } }));
    assert.match(labels[0] ?? '', /^metadata.labels: Invalid value: "x y": name part/);
    assert.match(labels[1] ?? '', /^metadata.labels: Invalid value: "z z": a valid label/);
    const annotations = { 'a b': 'x', big: 'x'.repeat(256 * 1024) };
    const found = messagesOf(config({}, { name: 'a', annotations }));
    assert.match(found[0] ?? '', /^metadata.annotations: Invalid value: "a b"/);
    assert.equal(found[1], 'metadata.annotations: Too long: may not be more than 262144 bytes');
  });

  test('has finalizers with a domain, or standard ones', () => {
    const finalizers = ['foregroundDeletion', 'example.com/hold'];
    assert.deepEqual(messagesOf(config({}, { name: 'a', finalizers })), []);
    const malformed = messagesOf(config({}, { name: 'a', finalizers: ['a b'] }));
    assert.match(malformed[0] ?? '', /^metadata.finalizers\[0\]: Invalid value: "a b": name part/);
    assert.equal(malformed.length, 1);
    assert.deepEqual(messagesOf(config({}, { name: 'a', finalizers: ['nodomain'] })), [
      'metadata.finalizers[0]: Invalid value: "nodomain": ' +
        'name is neither a standard finalizer name nor is it fully qualified',
    ]);
  });

  test('has complete owners, one of them the controller', () => {
    const owner = (name: string, controller = false) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name,
      uid: `u-${name}`,
      controller,
    });
    const owned = (...ownerReferences: object[]) =>
      messagesOf(config({}, { name: 'a', ownerReferences }));
    assert.deepEqual(owned(owner('b', true), owner('c')), []);
    assert.match(
      owned(owner('b', true), owner('c', true))[0] ?? '',
      /ConfigMap\/b and ConfigMap\/c/,
    );
    assert.deepEqual(owned({ ...owner('b'), uid: '' }), [
      'metadata.ownerReferences.uid: Invalid value: "": must not be empty',
    ]);
  });
});

describe('whatever comes', () => {
  test('values of any type are answered, not thrown at', () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withSparseArray: true,
      withTypedArray: true,
    });
    fc.assert(
      fc.property(anything, (value) => {
        assert.equal(validateObject(value).object, undefined);
      }),
    );
  });

  test('nor any content of a known kind', () => {
    const kinds = fc.constantFrom(...KINDS);
    const content = fc.anything({ withBigInt: true, withNullPrototype: true, maxDepth: 6 });
    const fields = fc.dictionary(fc.constantFrom('spec', 'data', 'type', 'status', 'x'), content);
    fc.assert(
      fc.property(kinds, fields, content, ({ apiVersion, kind }, more, metadata) => {
        const { object, diagnostics } = validateObject({ apiVersion, kind, metadata, ...more });
        const refused = diagnostics.some(({ severity }) => severity === 'error');
        assert.equal(object === undefined, refused);
      }),
    );
  });

  test('every kind without metadata is refused', () => {
    for (const { apiVersion, kind } of KINDS) {
      assert.equal(validateObject({ apiVersion, kind }).object, undefined, kind);
      assert.equal(validateObject({ apiVersion, kind, spec: {} }).object, undefined, kind);
    }
  });

  test('a circle is no matter', () => {
    const circle: unknown[] = [];
    circle.push(circle);
    assert.equal(validateObject(circle).object, undefined);
    assert.equal(validateObject(config({ data: circle })).object, undefined);
  });
});

describe('changes', () => {
  const change = (kind: string, before: object, after: object): string[] => {
    const definition = KINDS.find((known) => known.kind === kind);
    assert.ok(definition);
    const metadata = { name: 'a' };
    const object = (fields: object) => ({ apiVersion: 'v1', kind, metadata, ...fields });
    return validateChange(definition, object(before), object(after)).map(
      ({ field, message }) => `${field}: ${message}`,
    );
  };

  test('immutable data stays, and stays immutable', () => {
    const locked = { immutable: true, data: { a: 'x' } };
    assert.deepEqual(change('ConfigMap', locked, { ...locked }), []);
    assert.deepEqual(change('ConfigMap', { data: { a: 'x' } }, { data: {} }), []);
    const detail = 'Forbidden: field is immutable when `immutable` is set';
    assert.deepEqual(change('ConfigMap', locked, { immutable: true, data: { a: 'y' } }), [
      `data: ${detail}`,
    ]);
    assert.deepEqual(change('Secret', locked, { data: { a: 'x' } }), [`immutable: ${detail}`]);
  });

  test('the type of a Secret stays', () => {
    assert.deepEqual(change('Secret', { type: 'Opaque' }, {}), []);
    assert.deepEqual(change('Secret', {}, { type: 'custom/x' }), [
      'type: Invalid value: "custom/x": field is immutable',
    ]);
  });

  test('the address of a Service stays while it has one', () => {
    const at = (clusterIP: string, type = 'ClusterIP') => ({ spec: { clusterIP, type } });
    assert.deepEqual(change('Service', at('10.0.0.1'), at('10.0.0.1')), []);
    assert.deepEqual(change('Service', at('10.0.0.1'), { spec: {} }), []);
    assert.deepEqual(change('Service', at('10.0.0.1'), at('10.0.0.2')), [
      'spec.clusterIP: Invalid value: "10.0.0.2": field is immutable',
    ]);
    assert.deepEqual(change('Service', at('10.0.0.1'), at('', 'ExternalName')), []);
  });

  test('kinds without such rules may change freely', () => {
    assert.deepEqual(change('ServiceAccount', {}, { automountServiceAccountToken: false }), []);
  });
});

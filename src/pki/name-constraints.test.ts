// Name constraints of other authorities, in every form that we can compare, and what is refused
// where we cannot.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { buildName, EMPTY_NAME } from '#pki/build-certificate.ts';
import { DerReader } from '#pki/der-read.ts';
import { contextTag, type DerPart, element, encodeDer, sequence } from '#pki/der-write.ts';
import { nameConstraintProblem, parseNameConstraints } from '#pki/name-constraints.ts';
import { NO_NAMES, type SubjectAltNames } from '#pki/subject-alt-name.ts';

const [MAIL, DNS, DIRECTORY, URI, IP] = [1, 2, 4, 6, 7] as const;

function base(form: number, value: Uint8Array | string): DerPart {
  const kind = form === DIRECTORY ? 'constructed' : 'primitive';
  return sequence(element(contextTag(form, kind), value));
}

const read = (...trees: readonly DerPart[]) =>
  parseNameConstraints(new DerReader(encodeDer(sequence(...trees)), 'test'));
const permitted = (...bases: readonly DerPart[]) => element(contextTag(0, 'constructed'), ...bases);
const excluded = (...bases: readonly DerPart[]) => element(contextTag(1, 'constructed'), ...bases);

const problem = (
  constraints: ReturnType<typeof read>,
  names: Partial<SubjectAltNames>,
  subject = EMPTY_NAME,
) => nameConstraintProblem(constraints, { names: { ...NO_NAMES, ...names }, subject });

describe('a name constraint', () => {
  it('over hosts of URIs compares whole names, or what is below a leading dot', () => {
    const one = read(permitted(base(URI, 'Mesh.example')));
    assert.equal(problem(one, { uris: ['spiffe://mesh.example/ns/a/sa/b'] }), undefined);
    assert.equal(problem(one, { uris: ['https://MESH.example:443'] }), undefined);
    for (const uri of ['spiffe://a.mesh.example/x', 'spiffe://amesh.example/x', 'urn:mesh.example'])
      assert.match(problem(one, { uris: [uri] }) ?? '', /do not permit/);
    assert.match(problem(one, { uris: ['spiffe://mesh.example@evil/x'] }) ?? '', /do not permit/);
    const below = read(permitted(base(URI, '.mesh.example')));
    assert.equal(problem(below, { uris: ['spiffe://a.mesh.example/x'] }), undefined);
    assert.match(problem(below, { uris: ['spiffe://mesh.example/x'] }) ?? '', /do not permit/);
  });

  it('must be kept by every name, not by one', () => {
    const one = read(permitted(base(URI, 'mesh.example')));
    const uris = ['spiffe://mesh.example/x', 'spiffe://evil.example/x'];
    assert.match(problem(one, { uris }) ?? '', /evil/);
  });

  it('binds no other form than it names', () => {
    const one = read(permitted(base(URI, 'mesh.example')));
    const others = { dnsNames: ['a.b'], ipAddresses: ['::1'], othersCount: 1 };
    assert.equal(
      problem(one, others, buildName({ organization: 'a', commonName: 'b' })),
      undefined,
    );
  });

  it('over DNS names and addresses permits what is inside and nothing else', () => {
    const range = Uint8Array.of(10, 0, 0, 0, 255, 0, 0, 0);
    const both = read(permitted(base(DNS, 'example'), base(IP, range)));
    const inside = { dnsNames: ['example', 'a.Example'], ipAddresses: ['10.1.2.3'] };
    assert.equal(problem(both, inside), undefined);
    for (const outside of [
      { dnsNames: ['badexample'] },
      { ipAddresses: ['11.0.0.1'] },
      { ipAddresses: ['::1'] },
    ])
      assert.match(problem(both, outside) ?? '', /do not permit/);
  });

  it('that excludes beats one that permits', () => {
    const both = read(permitted(base(DNS, 'example')), excluded(base(DNS, 'evil.example')));
    assert.equal(problem(both, { dnsNames: ['good.example'] }), undefined);
    assert.match(problem(both, { dnsNames: ['a.evil.example'] }) ?? '', /do not permit/);
  });

  it('of a form that we cannot compare refuses what has such a name, and only that', () => {
    const mail = read(permitted(base(MAIL, 'example')));
    assert.equal(problem(mail, { uris: ['spiffe://a/b'] }), undefined);
    assert.match(problem(mail, { othersCount: 1 }) ?? '', /unsupported form/);
    const directory = read(excluded(base(DIRECTORY, encodeDer(sequence()))));
    assert.equal(problem(directory, { uris: ['spiffe://a/b'] }), undefined);
    const subject = buildName({ organization: 'a', commonName: 'b' });
    assert.match(problem(directory, {}, subject) ?? '', /unsupported form/);
  });

  it('that is malformed does not parse', () => {
    for (const wrong of [permitted(), permitted(base(IP, Uint8Array.of(1, 2, 3)))])
      assert.throws(
        () => read(wrong),
        (error) => isBulwarkError(error, 'PKI_MALFORMED'),
      );
  });
});

// A chain is verified link by link, and each rule can break it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { buildCertificate, buildName, EMPTY_NAME, keyIdOf } from '#pki/build-certificate.ts';
import { type Certificate, parseCertificate } from '#pki/certificate.ts';
import { type ChainOptions, verifyChain } from '#pki/chain.ts';
import {
  type DerPart,
  encodeDer,
  octetString,
  oid,
  sequence,
  TRUE,
  unsignedInteger,
} from '#pki/der-write.ts';
import { leafExtensions, namesExtension, rootExtensions } from '#pki/extensions.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { OID } from '#pki/object-ids.ts';

const at = Date.UTC(2026, 5);
const DAY_MS = 86_400_000;
let serial = 1;

interface Authority {
  readonly certificate: Certificate;
  sign(options?: Made): Authority;
}

interface Made {
  readonly commonName?: string;
  readonly notAfterAt?: number;
  readonly extensions?: readonly DerPart[];
}

/** A certificate with its key, which can sign others, whether it may or not. */
function authority(commonName: string, made: Made = {}, parent?: Parent): Authority {
  const keys = generateKeyPair();
  const spki = keys.publicKey.export({ type: 'spki', format: 'der' });
  const name = buildName({ organization: 'test', commonName });
  const self = { name, privateKey: keys.privateKey };
  const template = {
    serial: (serial++).toString(16),
    notBeforeAt: at - DAY_MS,
    notAfterAt: made.notAfterAt ?? at + DAY_MS,
    subject: made.commonName === '' ? EMPTY_NAME : name,
    spki,
    extensions: made.extensions ?? [rootExtensions(keyIdOf(spki))],
  };
  const certificate = parseCertificate(buildCertificate(template, parent ?? self));
  return {
    certificate,
    sign: (options = {}) => authority(options.commonName ?? 'child', options, self),
  };
}

type Parent = Parameters<typeof buildCertificate>[1];

function leafOf(parent: Authority, options: Made = {}): Certificate {
  const names = namesExtension({ uris: ['spiffe://cluster.local/ns/a/sa/b'] });
  const shared = leafExtensions(
    ['serverAuth', 'clientAuth'],
    parent.certificate.subjectKeyId ?? '',
  );
  return parent.sign({ commonName: '', extensions: [names, shared], ...options }).certificate;
}

const root = authority('root');
const intermediate = root.sign({ commonName: 'intermediate' });
const verify = (options: Partial<ChainOptions> & Pick<ChainOptions, 'leaf'>) =>
  verifyChain({
    intermediates: [],
    roots: [root.certificate],
    at,
    purposes: ['serverAuth'],
    ...options,
  });
const refuses = (pattern: RegExp) => (error: unknown) =>
  isBulwarkError(error, 'PKI_VERIFY_FAILED') && pattern.test(error.message);

describe('a chain verifies', () => {
  it('from a leaf to the root that signed it', () => {
    const leaf = leafOf(root);
    assert.deepEqual(verify({ leaf }), [leaf, root.certificate]);
  });

  it('over intermediates in any order, and beside certificates that have no part in it', () => {
    const second = intermediate.sign({ commonName: 'second' });
    const leaf = leafOf(second);
    const intermediates = [
      authority('other').certificate,
      second.certificate,
      intermediate.certificate,
    ];
    const path = [leaf, second.certificate, intermediate.certificate, root.certificate];
    assert.deepEqual(verify({ leaf, intermediates }), path);
  });

  it('against the right one of two roots with the same name', () => {
    const twin = authority('root');
    const roots = [twin.certificate, root.certificate];
    assert.deepEqual(verify({ leaf: leafOf(root), roots })[1], root.certificate);
    assert.deepEqual(verify({ leaf: leafOf(twin), roots })[1], twin.certificate);
  });
});

describe('a chain is refused', () => {
  it('without a root', () => {
    assert.throws(() => verify({ leaf: leafOf(root), roots: [] }), refuses(/no trusted root/));
  });

  it('from a foreign authority that has the same name', () => {
    assert.throws(() => verify({ leaf: leafOf(authority('root')) }), refuses(/no trusted root/));
  });

  it('when the signature is not by the key of the issuer', () => {
    const leaf = leafOf(root);
    const signature = Uint8Array.from(leafOf(root).signature);
    assert.throws(() => verify({ leaf: { ...leaf, signature } }), refuses(/signature/));
  });

  it('when an intermediate is missing', () => {
    assert.throws(() => verify({ leaf: leafOf(intermediate) }), refuses(/no trusted root/));
  });

  it('before its time and after it, at the root too', () => {
    const leaf = leafOf(root, { notAfterAt: at + 2 * DAY_MS });
    assert.throws(() => verify({ leaf, at: at - 2 * DAY_MS }), refuses(/not valid before/));
    assert.throws(() => verify({ leaf, at: at + 3 * DAY_MS }), refuses(/expired/));
    assert.throws(() => verify({ leaf, at: at + DAY_MS + 1 }), refuses(/expired/));
    assert.equal(verify({ leaf, at: at + DAY_MS }).length, 2);
  });

  it('when a leaf signed it', () => {
    const names = namesExtension({ uris: ['spiffe://cluster.local/ns/a/sa/b'] });
    const shared = leafExtensions(['serverAuth'], root.certificate.subjectKeyId ?? '');
    const signingLeaf = root.sign({ commonName: 'leaf', extensions: [names, shared] });
    const intermediates = [signingLeaf.certificate];
    const leaf = leafOf(signingLeaf);
    assert.throws(() => verify({ leaf, intermediates }), refuses(/no certificate authority/));
  });

  it('when it is longer than an authority allows', () => {
    const basics = encodeDer(sequence(TRUE, unsignedInteger(Uint8Array.of(0))));
    const constraint = sequence(oid(OID.basicConstraints), TRUE, octetString(basics));
    const short = root.sign({ commonName: 'short', extensions: [constraint] });
    const below = short.sign({ commonName: 'below' });
    const intermediates = [short.certificate, below.certificate];
    assert.equal(verify({ leaf: leafOf(short), intermediates }).length, 3);
    assert.throws(() => verify({ leaf: leafOf(below), intermediates }), refuses(/longer than/));
  });

  it('for a purpose that it was not issued for', () => {
    const keyId = root.certificate.subjectKeyId ?? '';
    const leaf = leafOf(root, { extensions: [leafExtensions(['serverAuth'], keyId)] });
    assert.equal(verify({ leaf, purposes: ['serverAuth'] }).length, 2);
    assert.throws(() => verify({ leaf, purposes: ['clientAuth'] }), refuses(/clientAuth/));
  });

  it('with a critical extension that is not known', () => {
    const unknown = sequence(oid('2.5.29.36'), TRUE, octetString('x'));
    const keyId = root.certificate.subjectKeyId ?? '';
    const leaf = leafOf(root, { extensions: [leafExtensions(['serverAuth'], keyId), unknown] });
    assert.throws(() => verify({ leaf }), refuses(/critical extension 2.5.29.36/));
  });

  it('when the leaf is an authority', () => {
    assert.throws(() => verify({ leaf: intermediate.certificate }), refuses(/one of an authority/));
  });

  it('after a bounded number of tries', () => {
    const twins = Array.from({ length: 200 }, () => authority('root', { extensions: [CA_ONLY] }));
    const leaf = leafOf(root);
    const roots = twins.map(({ certificate }) => certificate);
    assert.throws(() => verify({ leaf, roots }), refuses(/signature/));
    const late = [...roots, root.certificate];
    assert.throws(() => verify({ leaf, roots: late }), refuses(/signature/));
  });
});

/**
 * An authority without a key id, so that only the signature can tell it from another of its name.
 */
const CA_ONLY = encodeDer(
  sequence(oid(OID.basicConstraints), TRUE, octetString(encodeDer(sequence(TRUE)))),
);

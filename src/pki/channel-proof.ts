import { createHash } from 'node:crypto';
import { BulwarkError } from '#base/errors.ts';
import type { Secret } from '#base/secret.ts';
import { type Certificate, parseCertificate } from '#pki/certificate.ts';
import { type ChainOptions, verifyChain } from '#pki/chain.ts';
import { KEY_USAGE } from '#pki/extensions.ts';
import { parsePrivateKeyPem } from '#pki/keys.ts';
import { decodePem } from '#pki/pem.ts';
import { parsePublicKey } from '#pki/public-key.ts';
import { algorithmOf, signatureVerifies, signBytes } from '#pki/signature.ts';

/**
 * What is signed begins as in TLS 1.3 (RFC 8446 section 4.4.3): 64 spaces, what it is for, and a
 * zero. So a proof is no handshake, and a handshake or a request for a certificate is no proof.
 */
const CONTEXT = Buffer.from(
  `${' '.repeat(64)}Bulwark, workload on a shared connection\0`,
  'latin1',
);
/** Base64url: the signature, then leaf and intermediates, DER. */
const PROOF = /^[\w-]+(\.[\w-]+)+$/;
/** Those that a chain can have (`verifyChain`), with the leaf. */
const CERTIFICATES_MAX = 9;

/**
 * Proves, on a connection that others share, that one has the key of a certificate.
 * @param binding what tells this connection from all others (RFC 9266)
 * @param own leaf and intermediates, PEM, and the key, PKCS #8, PEM
 * @returns ASCII text that is good on this connection only
 * @throws BulwarkError PKI_MALFORMED, PKI_UNSUPPORTED when key or chain cannot be used
 */
export function proveOnChannel(
  binding: Uint8Array,
  own: { readonly chainPem: string; readonly privateKeyPem: Secret<string> },
): string {
  const [leaf = new Uint8Array(), ...above] = decodePem(own.chainPem, ['CERTIFICATE']);
  const key = parsePrivateKeyPem(own.privateKeyPem.reveal());
  const signature = signBytes(whatIsSigned(binding, leaf), key);
  return [signature, leaf, ...above].map(toText).join('.');
}

/**
 * The certificate whose key the other end of a connection proved to have.
 * @param proof as `proveOnChannel` made it, or anything
 * @throws BulwarkError PKI_MALFORMED, PKI_UNSUPPORTED, PKI_VERIFY_FAILED
 */
export function verifyOnChannel(
  proof: string,
  binding: Uint8Array,
  options: Pick<ChainOptions, 'roots' | 'at'>,
): Certificate {
  const parts = PROOF.test(proof) ? proof.split('.') : [];
  if (parts.length < 2 || parts.length > CERTIFICATES_MAX + 1)
    throw new BulwarkError('PKI_MALFORMED', 'this is no proof of a certificate');
  const [signature = EMPTY, leafDer = EMPTY, ...above] = parts.map(toBytes);
  const leaf = parseCertificate(leafDer);
  const intermediates = above.map(parseCertificate);
  verifyChain({ ...options, leaf, intermediates, purposes: ['clientAuth'] });
  if (leaf.keyUsage !== undefined && !(leaf.keyUsage & KEY_USAGE.digitalSignature))
    throw new BulwarkError('PKI_VERIFY_FAILED', 'the key of the certificate may not sign');
  const key = parsePublicKey(leaf.spki);
  const signed = whatIsSigned(binding, leafDer);
  if (!signatureVerifies(signed, signature, algorithmOf(key.kind), key))
    throw new BulwarkError('PKI_VERIFY_FAILED', 'the key of the certificate was not proved here');
  return leaf;
}

const EMPTY = new Uint8Array();

function whatIsSigned(binding: Uint8Array, leaf: Uint8Array): Uint8Array {
  return Buffer.concat([CONTEXT, binding, createHash('sha256').update(leaf).digest()]);
}

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

function toBytes(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64url');
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

import { createPrivateKey } from 'node:crypto';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import { decodePem } from '#pki/pem.ts';

/**
 * The answers of the SPIFFE Workload API, written by hand as those of SDS are; a test compares them
 * with the generated code.
 */

/**
 * An X509SVIDResponse with the one identity of a workload. Everything is DER: the leaf with its
 * intermediates, the key as PKCS #8, the roots one after another (SPIFFE Workload API 5.2.1).
 */
export function encodeX509Svids(secret: WorkloadSecret): Uint8Array {
  const key = createPrivateKey(secret.privateKeyPem.reveal());
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string(secret.identity);
  writer.tag(2, WireType.LengthDelimited).bytes(derOf(secret.chainPem, 'CERTIFICATE'));
  writer.tag(3, WireType.LengthDelimited).bytes(key.export({ type: 'pkcs8', format: 'der' }));
  writer.tag(4, WireType.LengthDelimited).bytes(derOf(secret.rootsPem, 'CERTIFICATE'));
  writer.join();
  for (const crl of crlsOf(secret)) writer.tag(2, WireType.LengthDelimited).bytes(crl);
  return writer.finish();
}

/**
 * An X509BundlesResponse with the roots of the workload's own trust domain, under the SPIFFE ID of
 * that domain (SPIFFE Workload API 5.2.2).
 */
export function encodeX509Bundles(secret: WorkloadSecret): Uint8Array {
  const writer = new BinaryWriter();
  for (const crl of crlsOf(secret)) writer.tag(1, WireType.LengthDelimited).bytes(crl);
  writer.tag(2, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string(trustDomainId(secret.identity));
  writer.tag(2, WireType.LengthDelimited).bytes(derOf(secret.rootsPem, 'CERTIFICATE'));
  writer.join();
  return writer.finish();
}

/** `spiffe://cluster.local` of an identity in that trust domain. */
function trustDomainId(identity: string): string {
  return identity.split('/').slice(0, 3).join('/');
}

function derOf(pem: string, label: string): Uint8Array {
  return Buffer.concat(decodePem(pem, [label]));
}

function crlsOf({ crlPem = '' }: WorkloadSecret): readonly Uint8Array[] {
  return crlPem === '' ? [] : decodePem(crlPem, ['X509 CRL']);
}

import { buildName, keyIdOf } from '#pki/build-certificate.ts';

/**
 * The name of an authority below another server, DER. It comes from the key alone: each has one of
 * its own, so that chains and lists of two never mix, and whoever asks for a certificate can sign
 * the list that goes with it beforehand.
 */
export function intermediateName(spki: Uint8Array): Uint8Array {
  return buildName({ organization: 'Bulwark', commonName: `intermediate ${keyIdOf(spki)}` });
}

import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { Issuer } from '#ca/issuer.ts';
import { loadOrCreateRoot } from '#ca/root-files.ts';
import { SelfSignedSigner } from '#ca/self-signed-signer.ts';
import { generateKeyPair, privateKeyToPem } from '#pki/keys.ts';
import { parsePublicKey } from '#pki/public-key.ts';
import { parseTrustDomain, type SpiffeId } from '#spiffe/spiffe-id.ts';

const HOUR_MS = 3_600_000;

/**
 * A flawless certificate for an identity of the mesh, from an authority that the mesh does not
 * know: what an attacker with a CA of his own can make.
 * @param directory where the foreign authority keeps its key
 */
export async function foreignCertificate(
  identity: SpiffeId,
  directory: string,
): Promise<{ readonly key: string; readonly certificate: string }> {
  const deps = { clock: systemClock, random: systemRandom, log: silentLogger };
  const trustDomain = parseTrustDomain('cluster.local');
  const root = await loadOrCreateRoot({ directory, trustDomain, ttlMs: HOUR_MS }, deps);
  const signer = new SelfSignedSigner(root);
  const issuer = new Issuer(
    { ttlMs: HOUR_MS, ttlMsMax: HOUR_MS },
    { ...deps, signer: () => signer },
  );
  const keys = generateKeyPair();
  const spki = keys.publicKey.export({ type: 'spki', format: 'der' });
  const { chain } = await issuer.issueForWorkload({
    identity,
    publicKey: parsePublicKey(spki),
    ttlMs: HOUR_MS,
  });
  return { key: privateKeyToPem(keys.privateKey).reveal(), certificate: chain.join('') };
}

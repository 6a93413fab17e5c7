import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { isBulwarkError } from '#base/errors.ts';
import { OidcTokenAttestor } from '#ca/attestation/oidc-token.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { FakeClock } from '../../../fakes/fake-clock.ts';
import { jsonDifference } from '../../json-difference.ts';
import type { PrimitiveCheck } from './row.ts';

const ISSUER = 'https://issuer.example';
const NOW = Date.UTC(2026, 0);

/** Whether a token for these audiences is taken where those are accepted. */
async function isTaken(ours: readonly string[], accepted: readonly string[]): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'bulwark-audience-'));
  try {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const file = join(folder, 'keys.json');
    const key = { ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256', use: 'sig' };
    writeFileSync(file, JSON.stringify({ keys: [key] }));
    const token = await new SignJWT({ iss: ISSUER, aud: [...ours], exp: NOW / 1000 + 60 })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .sign(privateKey);
    const rule = {
      issuer: ISSUER,
      audiences: accepted,
      jwks: { file },
      namespace: { fixed: 'ns' },
      serviceAccount: { fixed: 'sa' },
      claims: {},
    };
    const options = { trustDomain: parseTrustDomain('cluster.local'), rules: [rule] };
    const attestor = new OidcTokenAttestor(options, { clock: new FakeClock(NOW) });
    const call = { metadata: { authorization: `Bearer ${token}` }, peer: PEER };
    return (await attestor.attest(call)) !== undefined;
  } catch (error) {
    if (isBulwarkError(error, 'CA_UNAUTHENTICATED')) return false;
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const PEER = { address: '127.0.0.1:1', verifiedCertificate: undefined };

/** Audiences of tokens, tried with real tokens. */
export const checkAudience: PrimitiveCheck = async ({ fields }) => {
  const {
    audToCheck,
    audExpected,
    expectRet = false,
  } = fields as {
    readonly audToCheck?: readonly string[] | null;
    readonly audExpected?: readonly string[] | null;
    readonly expectRet?: boolean;
  };
  return jsonDifference(expectRet, await isTaken(audToCheck ?? [], audExpected ?? []));
};

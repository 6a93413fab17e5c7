// Plays an issuer of tokens for the guide: keeps a key, shows it to others, signs for users.
//   node samples/tokens/issuer.js KEYFILE keys             the public key, as a JSON Web Key Set
//   node samples/tokens/issuer.js KEYFILE token SUBJECT    a token that is good for an hour
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const ISSUER = 'https://issuer.example';
const KEY_ID = 'guide';
const HOUR_SECONDS = 3600;

const [file, what, subject] = process.argv.slice(2);
if (file === undefined || (what !== 'keys' && !(what === 'token' && subject))) {
  process.stderr.write('usage: issuer.js KEYFILE keys | issuer.js KEYFILE token SUBJECT\n');
  process.exit(2);
}
process.stdout.write(what === 'keys' ? `${keySet(file)}\n` : `${token(file, subject)}\n`);

function keyIn(path) {
  if (!existsSync(path)) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  }
  return createPrivateKey(readFileSync(path));
}

function keySet(path) {
  const key = createPublicKey(keyIn(path)).export({ format: 'jwk' });
  return JSON.stringify({ keys: [{ ...key, kid: KEY_ID, use: 'sig' }] });
}

function token(path, sub) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: ISSUER, sub, iat: now, exp: now + HOUR_SECONDS };
  const body = [{ alg: 'ES256', kid: KEY_ID, typ: 'JWT' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const key = { key: keyIn(path), dsaEncoding: 'ieee-p1363' };
  return `${body}.${sign('sha256', Buffer.from(body), key).toString('base64url')}`;
}

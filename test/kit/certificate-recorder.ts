// Loaded before a program (`node --import`), writes down every certificate and list that it signs,
// for second opinions after the test. Nothing of the program knows.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { RECORDER_HOOK, RECORDS_ENV, type RecordedSignature } from './recorded-signature.ts';

const RECORDED = {
  'build-certificate.ts': 'buildCertificate',
  'build-crl.ts': 'buildCrl',
} as const;

/** A module that is the original, but for one function that also tells what it made. */
function wrapped(file: string, name: string): string {
  return `
    import { ${name} as original } from './${file}?original';
    export * from './${file}?original';
    export function ${name}(template, issuer) {
      const der = original(template, issuer);
      globalThis[Symbol.for('${RECORDER_HOOK}')]('${name}', der, issuer.privateKey);
      return der;
    }`;
}

registerHooks({
  load(url, context, nextLoad) {
    for (const [file, name] of Object.entries(RECORDED))
      if (url.endsWith(`/src/pki/${file}`))
        return { format: 'module', source: wrapped(file, name), shortCircuit: true };
    return nextLoad(url, context);
  },
});

const path = process.env[RECORDS_ENV];
Object.assign(globalThis, {
  [Symbol.for(RECORDER_HOOK)]: (made: string, der: Uint8Array, privateKey: KeyObject): void => {
    if (path === undefined) return;
    const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
    const record: RecordedSignature = {
      kind: made === 'buildCrl' ? 'list' : 'certificate',
      der: Buffer.from(der).toString('base64'),
      signerKey: spki.toString('base64'),
    };
    appendFileSync(path, `${JSON.stringify(record)}\n`);
  },
});

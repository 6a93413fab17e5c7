import type { KeyObject } from 'node:crypto';
import { KeySigner } from '#ca/key-signer.ts';
import { checkAuthorities, issuersOf } from '#ca/plugged-in/ca-chain.ts';
import { CA_FILE, type CaFiles } from '#ca/plugged-in/ca-files.ts';
import { caProblem, parsing, subjectOf } from '#ca/plugged-in/ca-problem.ts';
import type { Signer } from '#ca/signer.ts';
import { type Certificate, isCertificateOfKey, parseCertificatesPem } from '#pki/certificate.ts';
import { isListOf, parseCrlsPem } from '#pki/crl.ts';
import { kindOfKey, parsePrivateKeyPem, publicHalf } from '#pki/keys.ts';
import { encodePem, type PemText } from '#pki/pem.ts';
import { type TrustDomain, workloadSpiffeId } from '#spiffe/spiffe-id.ts';

/** A plugged-in authority that was found sound. */
export interface CaSet {
  readonly signer: Signer;
  /** The root of the signer first. */
  readonly roots: readonly [Certificate, ...Certificate[]];
  /** The roots, PEM. */
  readonly bundlePem: PemText;
  /** The revocation lists that came with it, PEM as given; empty when there are none. */
  readonly crlPem: string;
}

/**
 * Makes an authority of the content of its files, and refuses what does not fit together.
 * @param at when it is to be good, wall-clock milliseconds
 * @throws BulwarkError CA_FILES_INVALID that names the file or certificate and the remedy
 */
export function parseCaSet(
  files: CaFiles,
  { at, trustDomain }: { readonly at: number; readonly trustDomain: TrustDomain },
): CaSet {
  const found = parseCertificates(files);
  const privateKey = parseKey(files);
  if (!isCertificateOfKey(found.certificate, publicHalf(privateKey))) {
    throw caProblem(
      `the private key and the certificate do not match: ${CA_FILE.privateKey} is not the key ` +
        `of ${subjectOf(found.certificate)} in ${CA_FILE.certificate}`,
      'put the key and the certificate of one authority side by side',
    );
  }
  const identity = workloadSpiffeId({
    trustDomain,
    namespace: 'default',
    serviceAccount: 'default',
  });
  const issuers = issuersOf(found);
  checkAuthorities(issuers, { at, identity });
  const root = issuers.at(-1) ?? issuers[0];
  const roots: [Certificate, ...Certificate[]] = [
    root,
    ...found.roots.filter((one) => one !== root && Buffer.compare(one.der, root.der) !== 0),
  ];
  for (const one of roots) checkAuthorities([one], { at, identity });
  const bundlePem = roots.map(({ der }) => encodePem('CERTIFICATE', der)).join('') as PemText;
  const signer = new KeySigner({ issuers, privateKey });
  return { signer, roots, bundlePem, crlPem: checkedCrl(files.crl, [...issuers, ...roots], at) };
}

function parseCertificates(files: CaFiles) {
  const roots = parsing('failed to parse root certificate', CA_FILE.root, () =>
    parseCertificatesPem(files.root),
  );
  const [certificate, ...more] = parsing(
    'failed to parse CA certificate',
    CA_FILE.certificate,
    () => parseCertificatesPem(files.certificate),
  );
  if (!certificate || more.length > 0) {
    const message = `failed to parse CA certificate (${CA_FILE.certificate} holds more than one)`;
    throw caProblem(message, `put the certificates above it into ${CA_FILE.chain}`);
  }
  const { chain: text = '' } = files;
  const chain =
    text.trim() === ''
      ? []
      : parsing('failed to parse certificate chain', CA_FILE.chain, () =>
          parseCertificatesPem(text),
        );
  return { certificate, chain, roots };
}

function parseKey({ privateKey: text }: CaFiles): KeyObject {
  const key = parsing('invalid PEM-encoded key', CA_FILE.privateKey, () =>
    parsePrivateKeyPem(text),
  );
  const kind = kindOfKey(key);
  if (kind === 'P-256' || kind === 'P-384' || kind === 'RSA') return key;
  throw caProblem(
    `the private key in ${CA_FILE.privateKey} is of a kind that proxies do not verify, or too weak`,
    'use P-256, P-384, or RSA of at least 2048 bits',
  );
}

/** A list that is wrong or too old would end every handshake of the mesh. */
function checkedCrl(text: string | undefined, issuers: readonly Certificate[], at: number): string {
  if (text === undefined || text.trim() === '') return '';
  const lists = parsing('failed to parse certificate revocation list', CA_FILE.crl, () =>
    parseCrlsPem(text),
  );
  for (const list of lists) {
    if (!issuers.some((issuer) => isListOf(list, issuer))) {
      throw caProblem(
        `failed to verify certificate revocation list: ${CA_FILE.crl} has a list that none of ` +
          'the authorities has signed',
        'use the lists of the authorities in the other files',
      );
    }
    if (list.nextUpdateAt !== undefined && list.nextUpdateAt < at) {
      const since = new Date(list.nextUpdateAt).toISOString();
      throw caProblem(
        `failed to verify certificate revocation list: a list in ${CA_FILE.crl} is out of date ` +
          `since ${since}`,
        'have its authority issue a new one',
      );
    }
  }
  return text;
}

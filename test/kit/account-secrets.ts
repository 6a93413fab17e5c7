import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Secret as SecretObject } from '#api/kinds/secret.ts';
import type { ApiObject } from '#api/object.ts';
import { createLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { Issuer } from '#ca/issuer.ts';
import { SelfSignedSigner } from '#ca/self-signed-signer.ts';
import { ServiceAccountSecrets } from '#controllers/service-account-secrets.ts';
import { encodePem } from '#pki/pem.ts';
import { MemoryStore } from '#store/memory-store.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { createTestRoot, TEST_TRUST_DOMAIN } from './test-root.ts';
import { waitUntil } from './wait-until.ts';

const DAY_MS = 86_400_000;
/** The namespace of the authority. */
export const CA_NAMESPACE = 'istio-citadel-ns';
const SECRETS = 'citadel_secret_controller';

/** An object of the core group. */
export function coreObject(
  kind: string,
  metadata: ApiObject['metadata'],
  rest: object = {},
): ApiObject {
  return { apiVersion: 'v1', kind, metadata, ...rest } as ApiObject;
}
/** A ServiceAccount. */
export const accountObject = (name: string, namespace = 'photo-ns') =>
  coreObject('ServiceAccount', { name, namespace });
/** The key of an account's Secret in the store. */
export const secretKey = (name: string, namespace = 'photo-ns') =>
  ({ kind: 'secrets', namespace, name: `istio.${name}` }) as const;

/** A store with a namespace, an authority, and a controller that a test may start again. */
export async function setUpAccountSecrets(
  t: Pick<TestContext, 'after'>,
  { enabledByDefault = true } = {},
) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = createLogger({ level: 'debug', sink: { write: (line) => lines.push(line) } });
  const store = new MemoryStore({ clock, random: systemRandom, log });
  const roots = [await createTestRoot(t, clock), await createTestRoot(t, clock)];
  const signers = roots.map((root) => new SelfSignedSigner(root));
  const [signer = assert.fail(), nextSigner = assert.fail()] = signers;
  const pemOf = ({ issuers }: SelfSignedSigner) => encodePem('CERTIFICATE', issuers[0].der);
  const world = { signer, bundle: pemOf(signer) as string, isBroken: false };
  const issuer = new Issuer(
    { ttlMs: DAY_MS, ttlMsMax: 90 * DAY_MS },
    { signer: () => world.signer, clock, random: systemRandom },
  );
  const metrics = new Metrics();
  const start = async (declared = metrics): Promise<ServiceAccountSecrets> => {
    const controller = new ServiceAccountSecrets(
      { trustDomain: TEST_TRUST_DOMAIN, enabledByDefault, caNamespace: CA_NAMESPACE },
      {
        store,
        issuer: {
          issueForWorkload: (request) => {
            if (world.isBroken) throw new Error('no key today');
            return issuer.issueForWorkload(request);
          },
        },
        trustBundle: () => world.bundle,
        clock,
        random: systemRandom,
        log,
        metrics: declared,
      },
    );
    t.after(() => controller.close());
    await controller.start();
    return controller;
  };
  await store.create(coreObject('Namespace', { name: 'photo-ns' }));
  const read = async (name: string, namespace?: string) =>
    (await store.get(secretKey(name, namespace))) as SecretObject | undefined;
  const written = (name: string, not?: SecretObject): Promise<SecretObject> =>
    waitUntil(async () => {
      const found = await read(name);
      if (!found || found.metadata.resourceVersion === not?.metadata.resourceVersion) return;
      return not && found.data?.['key.pem'] === not.data?.['key.pem'] ? undefined : found;
    }, `the Secret of ${name} is written`);
  const gone = (name: string): Promise<boolean> =>
    waitUntil(async () => !(await read(name)), `the Secret of ${name} is gone`);
  const count = async (name: string): Promise<number> => {
    const found = new RegExp(`^${SECRETS}_${name}_count (\\d+)$`, 'm').exec(await metrics.text());
    return Number(found?.[1] ?? Number.NaN);
  };
  const rotateRoot = (): void => {
    world.signer = nextSigner;
    world.bundle = `${pemOf(signer)}${pemOf(nextSigner)}`;
  };
  return { clock, lines, store, world, start, read, written, gone, count, rotateRoot };
}

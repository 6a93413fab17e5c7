import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { writeFileAtomic } from '#base/files.ts';
import { createLogger } from '#base/log.ts';
import { guardTrustDomain } from '#controlplane/trust-domain-guard.ts';
import { parseSpiffeId, parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

/** Starts of one server: with these names, while workloads have certificates of these domains. */
function starts(t: TestContext) {
  const path = join(temporaryDirectory(t), 'trust-domain.json');
  const lines: string[] = [];
  const log = createLogger({ level: 'info', sink: { write: (line) => lines.push(line) } });
  const start = (
    [trustDomain = '', ...aliases]: readonly string[],
    domains: readonly string[],
    isForced = false,
  ): Promise<void> => {
    const peers = domains.map((domain, index) => ({
      nodeId: `node-${index}`,
      identity: parseSpiffeId(`spiffe://${domain}/ns/shop/sa/web`),
      namespace: 'shop',
      workloadName: `web-${index}`,
      certificate: { serial: '1', authorityKeyId: 'root', notAfterAt: 1 },
    }));
    const settings = {
      trustDomain: parseTrustDomain(trustDomain),
      trustDomainAliases: aliases.map(parseTrustDomain),
    };
    return guardTrustDomain({ path, settings, isForced }, { peers, log });
  };
  return { start, path, lines };
}

const inUse = (message: RegExp) => ({ code: 'TRUST_DOMAIN_IN_USE', message });

describe('a start under other names of the trust domain', () => {
  it('is taken step by step, forth and back', async (t) => {
    const { start } = starts(t);
    await start(['old.test'], []);
    await start(['old.test'], ['old.test']);
    await start(['old.test', 'new.test'], ['old.test']);
    await start(['new.test', 'old.test'], ['old.test']);
    await start(['new.test', 'old.test'], ['old.test', 'new.test']);
    await start(['old.test', 'new.test'], ['old.test', 'new.test']);
    await start(['new.test', 'old.test'], ['new.test']);
    await start(['new.test'], ['new.test']);
  });

  it('is refused while workloads have certificates of a name that goes', async (t) => {
    const { start } = starts(t);
    await start(['new.test', 'old.test'], ['new.test', 'old.test']);
    const gone = inUse(/^web-1\.shop still have certificates of the trust domain old\.test$/);
    await assert.rejects(start(['new.test'], ['new.test', 'old.test']), gone);
    const many = Array.from({ length: 7 }, () => 'old.test');
    await assert.rejects(start(['new.test'], many), inUse(/web-4\.shop and 2 more still have/));
  });

  it('is refused under a name that nobody was told to take', async (t) => {
    const { start } = starts(t);
    await start(['old.test'], ['old.test']);
    const unknown = inUse(/^web-0\.shop were not told yet to take the trust domain new\.test$/);
    await assert.rejects(start(['new.test', 'old.test'], ['old.test']), unknown);
    // What was refused is not in force.
    await assert.rejects(start(['new.test', 'old.test'], ['old.test']), unknown);
  });

  it('is free while no workload is known, and where it is forced', async (t) => {
    const { start, lines } = starts(t);
    await start(['old.test'], []);
    await start(['new.test'], []);
    await start(['third.test'], ['new.test'], true);
    assert.match(lines.join(''), /changed by force/);
  });

  it('does not depend on a file that is there and whole', async (t) => {
    const { start, path, lines } = starts(t);
    await writeFileAtomic(path, 'rubbish');
    await start(['new.test', 'old.test'], ['old.test']);
    assert.match(lines.join(''), /are not known/);
    assert.ok(existsSync(path));
    await start(['new.test', 'old.test'], ['old.test']);
  });
});

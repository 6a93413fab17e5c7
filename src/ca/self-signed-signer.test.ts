import { SelfSignedSigner } from '#ca/self-signed-signer.ts';
import { describeSigner } from '../../test/contract/signer-contract.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { createTestRoot } from '../../test/kit/test-root.ts';

describeSigner('SelfSignedSigner', {
  open: async (at, test) => new SelfSignedSigner(await createTestRoot(test, new FakeClock(at))),
});

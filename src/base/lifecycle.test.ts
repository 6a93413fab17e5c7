import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Component, Lifecycle } from '#base/lifecycle.ts';
import { silentLogger } from '#base/log.ts';

function recorder(said: string[], name: string, fails?: 'start' | 'close'): Component {
  return {
    name,
    start: async () => {
      said.push(`start ${name}`);
      if (fails === 'start') throw new Error('no');
    },
    close: async () => {
      said.push(`close ${name}`);
      if (fails === 'close') throw new Error('no');
    },
  };
}

it('components start in order and close in reverse, once', async () => {
  const said: string[] = [];
  const lifecycle = new Lifecycle(silentLogger);
  await lifecycle.start([recorder(said, 'a'), recorder(said, 'b', 'close')]);
  await lifecycle.close();
  await lifecycle.close();
  assert.deepEqual(said, ['start a', 'start b', 'close b', 'close a']);
});

it('a failed start closes what was started and tells why', async () => {
  const said: string[] = [];
  const lifecycle = new Lifecycle(silentLogger);
  const components = [recorder(said, 'a'), recorder(said, 'b', 'start'), recorder(said, 'c')];
  await assert.rejects(lifecycle.start(components), /no/);
  assert.deepEqual(said, ['start a', 'start b', 'close b', 'close a']);
});

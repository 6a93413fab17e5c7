import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseBindConflict, parseEnvoyLogLine } from '#agent/envoy/envoy-log.ts';

describe("a line of Envoy's log", () => {
  it('gives level, component and text, with the escapes taken out', () => {
    assert.deepEqual(parseEnvoyLogLine("warning|config|listener \\'a|b\\':\\nno"), {
      level: 'warn',
      component: 'config',
      text: "listener 'a|b':\nno",
    });
    assert.equal(parseEnvoyLogLine('info|main|starting').level, 'debug');
    assert.equal(parseEnvoyLogLine('critical|main|no').level, 'error');
  });

  it('of another form is an error: something crashed', () => {
    assert.deepEqual(parseEnvoyLogLine('Caught Segmentation fault'), {
      level: 'error',
      component: 'output',
      text: 'Caught Segmentation fault',
    });
  });

  it('about a port that is taken gives the port', () => {
    const text = "Error adding/updating listener(s) http_proxy: cannot bind '127.0.0.1:43021': ";
    assert.equal(parseBindConflict(`${text}Address already in use`), 43_021);
    assert.equal(parseBindConflict(`${text}Permission denied`), undefined);
    assert.equal(parseBindConflict('cds: added'), undefined);
  });
});

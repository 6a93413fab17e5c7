import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BulwarkError } from '#base/errors.ts';
import { createLogger } from '#base/log.ts';
import { Secret } from '#base/secret.ts';

// Header and payload of a token, and key text, that are none: only their shape counts here.
const TOKEN = `eyJhbGciOiJFUzI1NiJ9.${'a'.repeat(40)}.${'b'.repeat(40)}`;
const KEY = `-----BEGIN PRIVATE KEY-----\n${'M'.repeat(64)}\n-----END PRIVATE KEY-----`;

function capture(): { lines: string[]; log: ReturnType<typeof createLogger> } {
  const lines: string[] = [];
  return { lines, log: createLogger({ level: 'info', sink: { write: (l) => lines.push(l) } }) };
}

describe('the log', () => {
  it('writes one JSON line with level, time, message and fields', () => {
    const { lines, log } = capture();
    log.child({ component: 'ca' }).info('signed', { serial: 'ab' });
    const line = JSON.parse(lines[0] ?? '');
    assert.deepEqual(
      [line.level, line.msg, line.component, line.serial],
      ['info', 'signed', 'ca', 'ab'],
    );
    assert.match(line.time, /^\d{4}-\d\d-\d\dT/);
  });

  it('says nothing below its level', () => {
    const { lines, log } = capture();
    log.debug('hidden');
    assert.equal(lines.length, 0);
  });

  it('shows of a join token which one it was, and not its secret', () => {
    const { lines, log } = capture();
    const secret = 's'.repeat(43);
    log.error(`refused bwj_photo-ns_0123456789abcdef_${secret}`);
    assert.ok(!lines.join('').includes(secret));
    assert.match(lines.join(''), /bwj_photo-ns_0123456789abcdef_\[redacted\]/);
  });

  it('never shows keys, tokens and secrets, wherever they are', () => {
    const { lines, log } = capture();
    const cause = new Error(`bad token ${TOKEN}`);
    log.error(`key ${KEY}`, {
      token: 'plain-token',
      nested: { authorization: 'x', list: [`Bearer ${TOKEN}`] },
      wrapped: new Secret('hidden-value'),
      error: new BulwarkError('TOKEN_INVALID', 'refused', { data: { text: KEY }, cause }),
      bytes: new Uint8Array([1, 2, 3]),
    });
    const text = lines.join('');
    for (const secret of [TOKEN, 'M'.repeat(64), 'plain-token', 'hidden-value']) {
      assert.ok(!text.includes(secret), secret.slice(0, 12));
    }
    assert.match(text, /TOKEN_INVALID/);
    assert.match(text, /\[3 bytes\]/);
  });

  it('sees each kind of secret when it is the only one', () => {
    const hidden = 'Zm9vYmFyYmF6cXV4';
    const texts = [
      `a -----BEGIN PRIVATE KEY-----${hidden}`,
      `(-----BEGIN EC PRIVATE KEY-----\n${hidden}\n-----END EC PRIVATE KEY-----)`,
      `x=eyJhbGciOiJub25l.${hidden}.`,
      `bwj_photo_0123456789abcdef_${hidden}`,
      `BEARER ${hidden}`,
      `basic\t${hidden}`,
    ];
    for (const text of texts) {
      const { lines, log } = capture();
      log.error('a', { text });
      log.error(text);
      assert.equal(lines.length, 2);
      assert.ok(!lines.join('').includes(hidden), text);
    }
  });

  it('survives circular and very long fields', () => {
    const { lines, log } = capture();
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    log.info('odd', { circular, long: 'x'.repeat(100_000) });
    assert.ok((lines[0] ?? '').length < 20_000);
  });

  it('keeps text that is no secret as it is', () => {
    const { lines, log } = capture();
    log.info('GET /api/v1/namespaces 200');
    assert.equal(JSON.parse(lines[0] ?? '').msg, 'GET /api/v1/namespaces 200');
  });
});

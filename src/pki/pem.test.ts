import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isBulwarkError } from '#base/errors.ts';
import { decodePem, encodePem } from '#pki/pem.ts';

const LABELS = ['CERTIFICATE'];
const isMalformed = (error: unknown): boolean => isBulwarkError(error, 'PKI_MALFORMED');

describe('PEM', () => {
  it('reads back what it wrote, with lines of at most 64 characters', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 400 }), { minLength: 1 }),
        (blocks) => {
          const text = blocks.map((bytes) => encodePem('CERTIFICATE', bytes)).join('');
          assert.deepEqual(decodePem(text, LABELS), blocks);
          assert.ok(text.split('\n').every((line) => line.length <= 64));
        },
      ),
    );
  });

  const block = encodePem('CERTIFICATE', Uint8Array.of(1, 2, 3));

  it('takes white space around blocks and Windows line ends', () => {
    const text = `\n\n${block}\n \t${block}`.replaceAll('\n', '\r\n');
    assert.equal(decodePem(text, LABELS).length, 2);
  });

  it('takes white space anywhere in the base64', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 200 }),
        fc.array(fc.tuple(fc.nat(), fc.constantFrom('\n', ' ', '\t', '\r\n')), { maxLength: 4 }),
        (bytes, spaces) => {
          let [, content = ''] = encodePem('CERTIFICATE', bytes).split('-----\n');
          content = content.replace('-----END CERTIFICATE', '');
          for (const [place, space] of spaces) {
            const at = place % (content.length + 1);
            content = `${content.slice(0, at)}${space}${content.slice(at)}`;
          }
          const text = `-----BEGIN CERTIFICATE-----\n${content}-----END CERTIFICATE-----\n`;
          assert.deepEqual(decodePem(text, LABELS), [bytes]);
        },
      ),
    );
  });

  /** Two lines, the first one full: read without a copy. */
  const [, first = '', second = ''] = encodePem('CERTIFICATE', new Uint8Array(50)).split('\n');
  const lines = (...texts: readonly string[]): string =>
    `-----BEGIN CERTIFICATE-----\n${texts.join('\n')}\n-----END CERTIFICATE-----\n`;

  it('takes two lines', () => {
    assert.deepEqual(decodePem(lines(first, second), LABELS), [new Uint8Array(50)]);
  });

  const refused = {
    'a full line that ends in padding': lines(`${first.slice(2)}==`, second),
    'a full line of padding': lines('='.repeat(64), second),
    'a line that is cut off after a full one': lines(first, second.slice(1)),
    'padding that is missing after a full line': lines(first, second.replaceAll('=', '')),
    'a character too many after a full line': lines(first, `A${second}`),
    'an empty text': '',
    'text before a block': `subject=x\n${block}`,
    'text after a block': `${block}x`,
    'another label': encodePem('PUBLIC KEY', Uint8Array.of(1)),
    'another label at the end': block.replace('END CERTIFICATE', 'END PUBLIC KEY'),
    'no end': block.slice(0, 40),
    headers: block.replace('-----\n', '-----\nProc-Type: 4,ENCRYPTED\n\n'),
    'base64 that is cut off': block.replace('AQID', 'AQI'),
    'padding in the middle': block.replace('AQID', 'AQ==AQ=='),
    'too much padding': block.replace('AQID', 'A==='),
    'a character that is none of base64': block.replace('AQID', 'AQ_D'),
  };
  for (const [what, text] of Object.entries(refused))
    it(`refuses ${what}`, () => {
      assert.throws(() => decodePem(text, LABELS), isMalformed);
    });

  it('refuses a large text that never ends in reasonable time', () => {
    const text = `-----BEGIN CERTIFICATE-----\n${'A'.repeat(1_000_000)}`;
    assert.throws(() => decodePem(text, LABELS), isMalformed);
  });
});

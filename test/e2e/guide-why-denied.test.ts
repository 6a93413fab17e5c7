// The page about denials is true: every command on it gives what the page shows, so `bulwark
// explain` names the cause that the section is about. So are the pages about tests and hardening.
import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../tools/setup/processes.js';
import { temporaryDirectory } from '../kit/temp-directory.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A command of a page, with the lines of its output that the page shows. */
interface ShownCommand {
  readonly command: string;
  readonly lines: readonly string[];
}

interface Section {
  readonly title: string;
  readonly yaml: string | undefined;
  readonly commands: readonly ShownCommand[];
}

function sectionsOf(page: string): readonly Section[] {
  const text = readFileSync(join(ROOT, 'docs/guide', page), 'utf8');
  return text.split(/^## /m).map((section) => {
    const blocks = [...section.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)];
    const plain = blocks.filter(([, language]) => language === '');
    return {
      title: section.split('\n', 1)[0] ?? '',
      yaml: blocks.find(([, language]) => language === 'yaml')?.[2],
      commands: plain.map(([, , code = '']) => {
        const [command = '', ...lines] = code.replaceAll('\\\n', '').trimEnd().split('\n');
        return { command, lines };
      }),
    };
  });
}

/** Runs a command of a page; `replaced` are the files that the page speaks of, and ours. */
async function outputOf(command: string, replaced: Readonly<Record<string, string>>) {
  const here = Object.entries(replaced).reduce(
    (text, [shown, real]) => text.replaceAll(` ${shown}`, ` ${real}`),
    command,
  );
  const env = { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}` };
  const { code, stdout, stderr } = await run('bash', ['-c', here], { cwd: ROOT, env });
  const text = Object.entries(replaced).reduce(
    (output, [shown, real]) => output.replaceAll(real, shown),
    stdout.toString(),
  );
  return { code, text, stderr: stderr.toString() };
}

/** Every shown line is there, in this order. */
function assertShown({ command, lines }: ShownCommand, text: string): void {
  const rest = text.split('\n');
  for (const line of lines) {
    const at = rest.indexOf(line);
    assert.ok(at >= 0, `${command}\nhas no line "${line}" there:\n${text}`);
    rest.splice(0, at + 1);
  }
}

describe('the guide page about denials', () => {
  const sections = sectionsOf('why-denied.md');
  const denials = sections.filter(({ title }) => /^\d+\. /.test(title));

  test('has ten of them', () => assert.equal(denials.length, 10));

  for (const { title, yaml, commands } of denials) {
    test(`${title}: is named as the cause`, async (t) => {
      const policy = join(temporaryDirectory(t), 'policy.yaml');
      if (yaml !== undefined) writeFileSync(policy, yaml);
      const [shown] = commands;
      assert.ok(shown && shown.lines.length > 0);
      const { code, text, stderr } = await outputOf(shown.command, { 'policy.yaml': policy });
      assert.equal(code, 3, stderr);
      assertShown(shown, text);
      if (yaml === undefined) return;
      // Each of them is denied by the objects of its section, and by nothing else.
      const without = await outputOf(shown.command, { 'policy.yaml': '' });
      assert.notEqual(without.text, text);
    });
  }

  test('tells what a gateway decides, layer by layer', async (t) => {
    const section = sections.find(({ title }) => title === 'Through a gateway');
    const policy = join(temporaryDirectory(t), 'policy.yaml');
    writeFileSync(policy, section?.yaml ?? '');
    assert.equal(section?.commands.length, 5);
    for (const shown of section?.commands ?? []) {
      const { code, text, stderr } = await outputOf(shown.command, { 'policy.yaml': policy });
      assert.equal(code, 3, stderr);
      assertShown(shown, text);
    }
  });

  test('takes a line of an access log', async () => {
    const shown = sections[0]?.commands.find(({ command }) => command.includes('--access-log'));
    assert.ok(shown);
    const { code, text } = await outputOf(shown.command, {});
    assert.equal(code, 3);
    assertShown(shown, text);
    assert.match(text, /DENY: no rule of AuthorizationPolicy datastore-ns\/datastore-callers/);
  });
});

describe('the guide page about tests of policies', () => {
  const shownWith = (part: string): ShownCommand => {
    const commands = sectionsOf('testing-policies.md').flatMap((section) => section.commands);
    const found = commands.find(({ command }) => command.includes(part));
    assert.ok(found, part);
    return found;
  };

  test('tries the cases of the sample', async () => {
    const shown = shownWith('bulwark.js test');
    const { code, text } = await outputOf(shown.command, {});
    assert.equal(code, 0);
    assertShown(shown, text);
  });

  test('shows who may talk to whom, and what a change makes of it', async (t) => {
    const matrix = shownWith('matrix -f samples/photo');
    assertShown(matrix, (await outputOf(matrix.command, {})).text);
    const changed = join(temporaryDirectory(t), 'changed');
    const sample = join(ROOT, 'samples/photo');
    for (const file of readdirSync(sample).filter((name) => name.endsWith('.yaml')))
      cpSync(join(sample, file), join(changed, file));
    const policies = join(changed, '06-authorization.yaml');
    const text = readFileSync(policies, 'utf8');
    writeFileSync(policies, text.replace('methods: [GET, POST]', 'methods: [GET]'));
    const compare = shownWith('--compare');
    const { code, text: difference } = await outputOf(compare.command, { changed });
    assert.equal(code, 3);
    assert.equal(difference.trimEnd(), compare.lines.join('\n'));
  });
});

describe('the guide page about hardening', () => {
  const commands = sectionsOf('hardening.md').flatMap((section) => section.commands);

  for (const [index, code] of [0, 0, 3].entries()) {
    test(`shows what \`bulwark audit\` prints (${index})`, async () => {
      const shown = commands[index];
      assert.ok(shown);
      const answer = await outputOf(shown.command, {});
      assert.equal(answer.code, code, answer.stderr);
      assertShown(shown, answer.text);
      if (shown.lines.length > 0) return;
      const { profile, differences, weaknesses } = JSON.parse(answer.text);
      assert.deepEqual([profile, weaknesses.length], ['strict', 1]);
      assert.ok(differences.length > 15);
    });
  }
});

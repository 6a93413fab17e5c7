import { styleText } from 'node:util';
import type { CheckResult } from './check.ts';

/** Tells how the demo goes: lines for people, or one JSON document for programs. */
export interface DemoReporter {
  /** A step of preparation. */
  step(what: string): void;
  /** A check that ended. */
  checked(result: CheckResult): void;
  /** The end. */
  finished(results: readonly CheckResult[], totalMs: number): void;
}

/** Lines on standard output as they happen. */
export function textReporter(out: NodeJS.WritableStream): DemoReporter {
  return {
    step: (what) => out.write(styleText('dim', `  … ${what}\n`)),
    checked({ title, ok, detail, ms }) {
      const mark = ok ? styleText('green', '✔') : styleText('red', '✘');
      out.write(`${mark} ${title} ${styleText('dim', `(${Math.round(ms)} ms)`)}\n`);
      const first = detail.startsWith('\n') ? detail.slice(1) : `      ${detail}`;
      out.write(`${first}\n`);
    },
    finished(results, totalMs) {
      const failed = results.filter(({ ok }) => !ok).length;
      const seconds = (totalMs / 1000).toFixed(1);
      const verdict =
        failed === 0 ? `all ${results.length} hold` : `${failed} of ${results.length} FAILED`;
      out.write(`\n${styleText(failed === 0 ? 'green' : 'red', verdict)} in ${seconds} s\n`);
    },
  };
}

/** One JSON document at the end: `{"checks":[{"name","title","ok","detail","ms"}],"ok","ms"}`. */
export function jsonReporter(out: NodeJS.WritableStream): DemoReporter {
  return {
    step: () => {},
    checked: () => {},
    finished(results, totalMs) {
      const checks = results.map((result) => ({
        ...result,
        detail: result.detail.trim(),
        ms: Math.round(result.ms),
      }));
      const ok = checks.every((check) => check.ok);
      out.write(`${JSON.stringify({ checks, ok, ms: Math.round(totalMs) }, null, 2)}\n`);
    },
  };
}

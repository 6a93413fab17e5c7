import { readdirSync, readFileSync } from 'node:fs';

/** Time on a processor of all threads of a process so far, microseconds. */
export function cpuTimeOf(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const timeOf = (thread: string): number =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
  return threads.reduce((sum, thread) => sum + timeOf(thread), 0) / 1000;
}

/** Where a process can be killed: every step by which signing, revoking and rotating get on. */
export const FAULT_STEPS = {
  sign: 'a signature is made, and nobody knows of it',
  open: 'a file is there, and empty',
  write: 'half of a file is written; then all of it, not synced',
  sync: 'what was written is on the disk',
  rename: 'the new file is in the place of the old one',
  mkdir: 'a folder is there, and empty',
  rm: 'a file is gone, others that go with it are not',
  begin: 'a transaction is open',
  insert: 'a row is in a transaction that is open',
  commit: 'a transaction is done, and nobody was told',
} as const;

/** One of the steps. */
export type FaultStep = keyof typeof FAULT_STEPS;

/** What a process with fault points is told by its environment. */
export const FAULT_ENV = {
  /** `<step> <file>#<occurrence>`, as the log has it; no death when left out. */
  at: 'BULWARK_TEST_FAULT_AT',
  /** A file to which every step is added, a line each. */
  log: 'BULWARK_TEST_FAULT_LOG',
} as const;

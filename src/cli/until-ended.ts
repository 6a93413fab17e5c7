/** Resolves when the user or the system asks the process to end. */
export function untilEnded(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    const end = (): void => resolve(undefined);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}

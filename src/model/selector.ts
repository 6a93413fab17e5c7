/** Labels of a workload, or those that a selector asks for. */
export type Labels = Readonly<Record<string, string>>;

/** Whether a workload has every label that is asked for; nothing asked for = every workload. */
export function labelsMatch(wanted: Labels, labels: Labels): boolean {
  for (const key in wanted) {
    if (labels[key] !== wanted[key] || !Object.hasOwn(labels, key)) return false;
  }
  return true;
}

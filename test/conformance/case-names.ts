/**
 * Names for the cases of a suite, each one once: several rows of one test of Istio may have the
 * same name.
 */
export function caseNames(): (name: string) => string {
  const seen = new Map<string, number>();
  return (name) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name} #${count}`;
  };
}

import type { KindDefinition } from '#api/kind.ts';
import type { ObjectKey } from '#api/object.ts';
import { BulwarkError } from '#base/errors.ts';

/**
 * Refuses to make one more of a kind when there are as many as it may have.
 * @throws BulwarkError API_FORBIDDEN with `data.countMax`
 */
export function refuseOneTooMany(
  key: ObjectKey,
  { countMax }: KindDefinition,
  count: number,
): void {
  if (countMax === undefined || count < countMax) return;
  const message = `there are ${countMax} already, which is the limit; delete some`;
  throw new BulwarkError('API_FORBIDDEN', message, { data: { ...key, countMax } });
}

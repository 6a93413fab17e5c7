import { BulwarkError } from '#base/errors.ts';

/**
 * What a root is used for. `prepared`: trusted, does not sign yet. `active`: signs. `retired`:
 * trusted, has ceased to sign, and can be called back. `tainted`: trusted, its key is destroyed.
 * After that it is revoked: no longer in the list, trusted by nobody.
 */
export const ROOT_STATES = ['active', 'prepared', 'retired', 'tainted'] as const;
/** One of them. */
export type RootState = (typeof ROOT_STATES)[number];

/** A root that is trusted. */
export interface RootSlot {
  /** The folder of its files below that of the authority; '.' for the first root of a mesh. */
  readonly slot: string;
  readonly state: RootState;
}

/** The steps from one root to the next, in order, and the way back. */
export const ROTATION_STEPS = ['prepare', 'activate', 'taint', 'revoke', 'abort'] as const;
/** One of them. */
export type RotationStep = (typeof ROTATION_STEPS)[number];

/** The state in which a step finds the root that is not active; undefined: there is none. */
const BEFORE: Readonly<Record<RotationStep, readonly (RootState | undefined)[]>> = {
  prepare: [undefined],
  activate: ['prepared'],
  taint: ['retired'],
  revoke: ['tainted'],
  abort: ['prepared', 'retired'],
};

const REMEDY: Readonly<Record<RootState | 'none', string>> = {
  none: 'begin with: bulwark ca rotate prepare',
  active: '',
  prepared: 'a new root is prepared: go on with activate, or go back with abort',
  retired: 'the new root signs: go on with taint, or go back with abort',
  tainted: 'the key of the old root is destroyed: go on with revoke',
};

/** The step that comes next on the way to a new root. */
export function nextStep(
  roots: readonly Pick<RootSlot, 'state'>[],
): Exclude<RotationStep, 'abort'> {
  const other = roots.find(({ state }) => state !== 'active')?.state;
  if (other === 'prepared') return 'activate';
  if (other === 'retired') return 'taint';
  return other === 'tainted' ? 'revoke' : 'prepare';
}

/**
 * The roots after a step, the active one first. Pure: what the files must become.
 * @param slot the folder of the new root, for `prepare`
 * @throws BulwarkError CA_ROTATION_REFUSED when the step does not come next
 */
export function afterStep(
  roots: readonly RootSlot[],
  step: RotationStep,
  slot: string,
): readonly RootSlot[] {
  const other = roots.find(({ state }) => state !== 'active');
  if (!BEFORE[step].includes(other?.state))
    throw new BulwarkError('CA_ROTATION_REFUSED', `${step} is not what comes next`, {
      remedy: REMEDY[other?.state ?? 'none'],
    });
  const changed = roots.flatMap((root) => movedBy(step, root, other?.state));
  const all = step === 'prepare' ? [...changed, { slot, state: 'prepared' } as const] : changed;
  return [...all].sort((a, b) => ROOT_STATES.indexOf(a.state) - ROOT_STATES.indexOf(b.state));
}

function movedBy(
  step: RotationStep,
  root: RootSlot,
  other: RootState | undefined,
): readonly RootSlot[] {
  const to = (state: RootState): readonly RootSlot[] => [{ ...root, state }];
  switch (`${step} ${root.state}`) {
    case 'activate prepared':
    case 'abort retired':
      return to('active');
    case 'activate active':
      return to('retired');
    case 'abort active':
      return other === 'retired' ? to('prepared') : [root];
    case 'taint retired':
      return to('tainted');
    case 'abort prepared':
    case 'revoke tainted':
      return [];
    default:
      return [root];
  }
}

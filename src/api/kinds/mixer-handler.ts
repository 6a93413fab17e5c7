import { checkSchema } from '#api/check-schema.ts';
import { ageColumn, fieldColumn } from '#api/columns.ts';
import { checkDuration } from '#api/duration.ts';
import { invalid, required, tooLong } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import { defineIstioKind } from '#api/kinds/istio-kind.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import { isOfAccessControl, mixerKind, refuseProcesses } from '#api/kinds/mixer-kind.ts';
import { checkList, type ListParams, listParams } from '#api/kinds/mixer-list.ts';
import type { ApiObject } from '#api/object.ts';
import { anyObject, integer, list, object, text, type ValueOf } from '#api/schema.ts';
import { LIMITS } from '#base/limits.ts';

const denierParams = object('A handler that denies everything it is asked about.', {
  status: object('What a denied caller is told.', {
    code: integer('A code of google.rpc.'),
    message: text('The reason.'),
    details: list('Not looked at.', anyObject('A detail.')),
  }),
  validDuration: text('How long an answer may be kept: here each request is decided anew.'),
  validUseCount: integer('How often an answer may be used: as above.'),
});

const handlerSpec = object('A handler by the name of its adapter.', {
  compiledAdapter: text('`denier` or `listchecker`.'),
  params: anyObject('What the adapter takes: the fields of the kind denier or listchecker.'),
  adapter: text('An adapter that is a process of its own; not supported.'),
  connection: anyObject('Where that process is.'),
});

/** What a denier says. */
export interface DenierParams extends ValueOf<typeof denierParams> {}

/** `denier` of config.istio.io/v1alpha2. */
export interface Denier extends ApiObject {
  readonly spec?: DenierParams;
  readonly status?: IstioStatus;
}
/** `listchecker` of config.istio.io/v1alpha2. */
export interface ListChecker extends ApiObject {
  readonly spec?: ListParams;
  readonly status?: IstioStatus;
}
/** `handler` of config.istio.io/v1alpha2. */
export interface MixerHandler extends ApiObject {
  readonly spec?: ValueOf<typeof handlerSpec>;
  readonly status?: IstioStatus;
}

/** The adapters that there are, with what each takes. */
const ADAPTERS = { denier: denierParams, listchecker: listParams } as const;

const PERMISSION_DENIED = 7;
const LENGTH_MAX = LIMITS.policyValueLengthMax;
/** The greatest code of google.rpc. */
const CODE_MAX = 16;

function checkDenier(params: DenierParams, field: string, report: Report): void {
  const { status = {}, validDuration } = params;
  const { code = PERMISSION_DENIED, message = '' } = status;
  checkDuration(validDuration, `${field}.validDuration`, report, { zero: true });
  if (message.length > LENGTH_MAX) report(tooLong(`${field}.status.message`, LENGTH_MAX));
  const at = `${field}.status.code`;
  if (code < 1 || code > CODE_MAX)
    report(invalid(at, code, `must be a code of google.rpc that is an error: 1 to ${CODE_MAX}`));
}

/** The parameters of a handler of one of the adapters, read; undefined for any other. */
export function handlerParams(
  { spec = {} }: MixerHandler,
  report: Report = () => {},
): { readonly denier: DenierParams } | { readonly list: ListParams } | undefined {
  const { compiledAdapter = '', params = {} } = spec;
  if (!Object.hasOwn(ADAPTERS, compiledAdapter)) return undefined;
  let isWrong = false;
  const read = <T>(schema: (typeof ADAPTERS)[keyof typeof ADAPTERS]): T =>
    checkSchema(schema, params, 'spec.params', {
      unknownFields: 'error',
      full: false,
      report: (diagnostic) => {
        isWrong = true;
        report(diagnostic);
      },
    }) as T;
  const given =
    compiledAdapter === 'denier'
      ? { denier: read<DenierParams>(denierParams) }
      : { list: read<ListParams>(listParams) };
  return isWrong ? undefined : given;
}

function checkHandler(handler: MixerHandler, report: Report): void {
  const { compiledAdapter = '', adapter, connection } = handler.spec ?? {};
  refuseProcesses({ adapter, connection }, report);
  const adapters = Object.keys(ADAPTERS);
  if (compiledAdapter === '') {
    if (adapter === undefined)
      report(required('spec.compiledAdapter', `one of ${adapters.join(', ')}`));
    return;
  }
  if (!isOfAccessControl('spec.compiledAdapter', compiledAdapter, adapters, report)) return;
  const params = handlerParams(handler, report);
  if (params === undefined) return;
  if ('denier' in params) checkDenier(params.denier, 'spec.params', report);
  else checkList(params.list, 'spec.params', report);
}

/** handler: a handler by the name of its adapter. */
export const mixerHandler = defineIstioKind<MixerHandler>({
  ...mixerKind,
  kind: 'handler',
  plural: 'handlers',
  description: 'A denier or a listchecker that rules ask (Mixer).',
  spec: handlerSpec,
  columns: [fieldColumn('Adapter', '.spec.compiledAdapter', 'What it does.'), ageColumn],
  check: checkHandler,
});

/** denier: the older form of a handler. */
export const denier = defineIstioKind<Denier>({
  ...mixerKind,
  kind: 'denier',
  plural: 'deniers',
  description: 'Denies what a rule asks it about (Mixer, older form of a handler).',
  spec: denierParams,
  check: ({ spec = {} }, report) => checkDenier(spec, 'spec', report),
});

/** listchecker: the older form of a handler. */
export const listChecker = defineIstioKind<ListChecker>({
  ...mixerKind,
  kind: 'listchecker',
  plural: 'listcheckers',
  description: 'Denies by a list what a rule asks it about (Mixer, older form of a handler).',
  spec: listParams,
  check: ({ spec = {} }, report) => checkList(spec, 'spec', report),
});

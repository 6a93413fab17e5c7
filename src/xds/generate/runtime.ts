import { create } from '@bufbuild/protobuf';
import { RuntimeSchema } from '#gen/envoy-api/envoy/service/runtime/v3/rtds_pb.js';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import { HARDENING } from '#policy/hardening.ts';
import { encodeResource, TYPE_URL, type XdsResource } from '#xds/resource.ts';

/** The layer of its runtime values that an Envoy asks for, as its bootstrap names it. */
const LAYER = 'mesh';

/** Envoy answers 400 to a path with a fragment; without this it cuts the fragment off. */
const REJECT_FRAGMENT = 'envoy.reloadable_features.http_reject_path_with_fragment';

/** What a profile asks of Envoy that no field of its configuration says. */
function runtime(profile: HardeningProfile): XdsResource {
  const layer = { [REJECT_FRAGMENT]: HARDENING[profile].fragmentsAreRefused };
  return encodeResource(
    TYPE_URL.runtime,
    LAYER,
    RuntimeSchema,
    create(RuntimeSchema, { name: LAYER, layer }),
  );
}

/** The runtime values of proxies, by the profile of the mesh. */
export const RUNTIME: Readonly<Record<HardeningProfile, ReadonlyMap<string, XdsResource>>> = {
  strict: new Map([[LAYER, runtime('strict')]]),
  istio: new Map([[LAYER, runtime('istio')]]),
};

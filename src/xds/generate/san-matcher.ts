import { isIP } from 'node:net';
import { create } from '@bufbuild/protobuf';
import {
  type SubjectAltNameMatcher,
  SubjectAltNameMatcher_SanType,
  SubjectAltNameMatcherSchema,
} from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/common_pb.js';

/** Every URI that begins like this. */
export function uriPrefix(value: string): SubjectAltNameMatcher {
  return create(SubjectAltNameMatcherSchema, {
    sanType: SubjectAltNameMatcher_SanType.URI,
    matcher: { matchPattern: { case: 'prefix', value } },
  });
}

/** A name as users write it: a SPIFFE id or other URI, an IP address, or a DNS name. */
export function subjectAltName(name: string): SubjectAltNameMatcher {
  const sanType = name.includes('://')
    ? SubjectAltNameMatcher_SanType.URI
    : isIP(name) === 0
      ? SubjectAltNameMatcher_SanType.DNS
      : SubjectAltNameMatcher_SanType.IP_ADDRESS;
  return create(SubjectAltNameMatcherSchema, {
    sanType,
    matcher: { matchPattern: { case: 'exact', value: name } },
  });
}

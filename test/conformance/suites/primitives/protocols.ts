import { declaredProtocol, type Protocol, parseProtocol } from '#model/protocol.ts';
import { jsonDifference } from '../../json-difference.ts';
import type { PrimitiveCheck } from './row.ts';

/**
 * Our protocols for Istio's. Where Istio tells apart what a proxy handles alike, we have one: HTTPS
 * is TLS of the application's own, and Mongo is TCP.
 */
const OURS: Readonly<Record<string, Protocol>> = {
  Unsupported: 'auto',
  HTTP: 'http',
  HTTP_PROXY: 'http',
  HTTP2: 'http2',
  GRPC: 'grpc',
  'GRPC-Web': 'grpc-web',
  GRPCWeb: 'grpc-web',
  HTTPS: 'tls',
  TLS: 'tls',
  TCP: 'tcp',
  Mongo: 'tcp',
  Redis: 'tcp',
  MySQL: 'mysql',
  UDP: 'udp',
};

const parse: PrimitiveCheck = ({ name, fields }) =>
  jsonDifference(OURS[String(fields.out)], parseProtocol(name) ?? 'auto');

const convert: PrimitiveCheck = ({ fields }) => {
  const { port, portName, proto, appProto, expectedProto } = fields as {
    readonly port?: number;
    readonly portName?: string;
    readonly proto?: string;
    readonly appProto?: string | null;
    readonly expectedProto: string;
  };
  const found = declaredProtocol({
    port: port ?? 0,
    name: portName,
    transport: proto,
    appProtocol: appProto ?? undefined,
  });
  return jsonDifference(OURS[expectedProto], found);
};

/** What a port speaks. */
export const PROTOCOL_CHECKS: Readonly<Record<string, PrimitiveCheck>> = {
  TestConvertProtocol: convert,
  TestParse: parse,
};

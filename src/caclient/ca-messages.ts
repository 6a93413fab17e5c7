import { BinaryReader } from '@bufbuild/protobuf/wire';
import { encodeMessage, field } from '#base/message-writer.ts';

/** What is sent to the certificate authority (istio.v1.auth.IstioCertificateRequest). */
export interface CertificateRequest {
  /** PEM. */
  readonly csr: string;
  readonly validitySeconds: number;
  /**
   * What a server below another one asks for, with the metadata `BulwarkAuthority`: a certificate
   * to sign with, the roots alone, or revocation lists. Left out for the certificate of a workload.
   */
  readonly authority?: 'intermediate' | 'lists' | 'roots';
  /** What such a server says of its mesh, with the metadata `BulwarkSite`. */
  readonly site?: string;
  /** The lists that such a server has, with the metadata `BulwarkLists`. */
  readonly lists?: string;
  /** Whether an agent asks, for a workload that it will tell the server about. */
  readonly isAgent?: boolean;
}

/**
 * Encodes the request. By hand, as SDS is in sds/messages.ts: the generated code costs an agent 30
 * MB of memory and 0.1 s at its start, for three fields.
 */
export function encodeCertificateRequest(request: CertificateRequest): Buffer {
  const { csr, validitySeconds, authority, site, lists } = request;
  const fields = [field(1, csr), field(3, validitySeconds)];
  // A google.protobuf.Struct: a map of texts to values, of which field 3 is a text.
  const wishes = { BulwarkAuthority: authority, BulwarkSite: site, BulwarkLists: lists };
  const entries = Object.entries(wishes).filter(([, wish]) => wish !== undefined);
  const struct = entries.map(([name, wish = '']) =>
    field(1, [field(1, name), field(2, [field(3, wish)])]),
  );
  if (struct.length > 0) fields.push(field(4, struct));
  return encodeMessage(...fields);
}

/**
 * The chain in an istio.v1.auth.IstioCertificateResponse: PEM texts, leaf first, root last.
 * @throws Error when the bytes are no such message
 */
export function decodeCertificateResponse(bytes: Uint8Array): readonly string[] {
  const reader = new BinaryReader(bytes);
  const chain: string[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1) chain.push(reader.string());
    else reader.skip(type);
  }
  return chain;
}

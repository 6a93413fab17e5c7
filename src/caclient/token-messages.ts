import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** A JWT-SVID as it came from the authority. */
export interface IssuedToken {
  /** In the compact form of JWS. */
  readonly token: string;
  /** Whom it names. */
  readonly identity: string;
  /** When it ends, wall-clock milliseconds. */
  readonly expiresAt: number;
}

/** A bulwark.identity.v1.JwtSvidRequest; by hand, for the reason that ca-messages.ts gives. */
export function encodeTokenRequest(audience: readonly string[]): Buffer {
  const writer = new BinaryWriter();
  for (const one of audience) writer.tag(1, WireType.LengthDelimited).string(one);
  return Buffer.from(writer.finish());
}

/**
 * A bulwark.identity.v1.JwtSvidResponse.
 * @throws Error when the bytes are no such message
 */
export function decodeTokenResponse(bytes: Uint8Array): IssuedToken {
  const reader = new BinaryReader(bytes);
  let token = '';
  let identity = '';
  let expiresAt = 0;
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1) token = reader.string();
    else if (field === 2) identity = reader.string();
    else if (field === 3) expiresAt = Number(reader.int64()) * 1000;
    else reader.skip(type);
  }
  return { token, identity, expiresAt };
}

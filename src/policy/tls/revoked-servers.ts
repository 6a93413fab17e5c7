import { type MeshSettings, meshTrustDomains } from '#model/mesh-settings.ts';
import type { Revocations } from '#model/revocations.ts';
import { namesOf } from '#policy/authz/revoked-peers.ts';
import type { ServerNames } from '#policy/tls/server-names.ts';

/** What revocations leave of the servers that a client may take for a service. */
export interface NarrowedServers {
  readonly names: ServerNames;
  /**
   * Names the revocations that concern any of them, '' for none: when it changes, connections to
   * them have to be opened anew.
   */
  readonly revokedBy: string;
}

/** A name that no certificate has. Without any name at all, everybody would do. */
const NOBODY = 'spiffe://revoked.invalid/';

interface Mark {
  /** Of the revocation. */
  readonly uid: string;
  /** Whether the identity is revoked, and not a single certificate of it. */
  readonly isIdentity: boolean;
}

/** Servers that are revoked, by their identities. */
export class RevokedServers {
  readonly #marks = new Map<string, Mark[]>();

  constructor({ all }: Revocations, settings: MeshSettings) {
    const trustDomains = meshTrustDomains(settings);
    for (const { uid, identity, issuedTo } of all) {
      const known = identity ?? issuedTo;
      if (known === undefined) continue;
      const mark = { uid, isIdentity: identity !== undefined };
      for (const name of namesOf(known, trustDomains))
        this.#marks.set(name, [...(this.#marks.get(name) ?? []), mark]);
    }
  }

  /** Leaves out those whose identity is revoked. */
  narrow(names: ServerNames): NarrowedServers {
    if (this.#marks.size === 0) return { names, revokedBy: '' };
    const marksOf = (id: string): readonly Mark[] => this.#marks.get(id) ?? [];
    const ids = names.ids.filter((id) => !marksOf(id).some(({ isIdentity }) => isIdentity));
    const prefixed = [...this.#marks]
      .filter(([id]) => names.idPrefixes.some((prefix) => id.startsWith(prefix)))
      .flatMap(([, marks]) => marks);
    const marks = [...names.ids.flatMap(marksOf), ...prefixed];
    const isNobody = names.ids.length > 0 && ids.length + names.idPrefixes.length === 0;
    return {
      names: { ids: isNobody ? [NOBODY] : ids, idPrefixes: names.idPrefixes },
      revokedBy: [...new Set(marks.map(({ uid }) => uid))].sort().join(' '),
    };
  }
}

import type { SecretRights } from '#apiserver/rbac/secret-rights.ts';
import type { SecretReader, SecretReaders } from '#model/secret-readers.ts';

/**
 * Keeps the model told of who may read which Secrets. A change of roles makes work only when it
 * changes an answer that was given; then it counts at once, also for a right that was taken.
 * @param onChange called after the model got other readers
 */
export function keepSecretReaders(
  rights: SecretRights,
  model: { useSecretReaders(readers: SecretReaders): void },
  onChange: () => void,
): void {
  let given = new GivenAnswers(rights);
  model.useSecretReaders(given);
  rights.onChange(() => {
    if (given.stillHold()) return;
    given = new GivenAnswers(rights);
    model.useSecretReaders(given);
    onChange();
  });
}

/** Answers stay as they were given first: a snapshot of the mesh does not change. */
class GivenAnswers implements SecretReaders {
  readonly #rights: SecretRights;
  readonly #answers = new Map<string, Answer>();

  constructor(rights: SecretRights) {
    this.#rights = rights;
  }

  mayRead(account: SecretReader, secret: string): boolean {
    const { namespace, serviceAccount } = account;
    const key = `${namespace}/${serviceAccount}/${secret}`;
    let answer = this.#answers.get(key);
    if (!answer) {
      const mayRead = this.#rights.mayRead(account, secret);
      answer = { account: { namespace, serviceAccount }, secret, mayRead };
      this.#answers.set(key, answer);
    }
    return answer.mayRead;
  }

  stillHold(): boolean {
    for (const { account, secret, mayRead } of this.#answers.values()) {
      if (this.#rights.mayRead(account, secret) !== mayRead) return false;
    }
    return true;
  }
}

interface Answer {
  readonly account: SecretReader;
  readonly secret: string;
  readonly mayRead: boolean;
}

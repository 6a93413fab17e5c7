import type { Access, Authorizer } from '#apiserver/authorize.ts';
import { accountCaller } from '#apiserver/service-account-tokens.ts';

/** What is told of rights to Secrets. */
export interface SecretRights {
  /** Whether a service account may read a Secret of its namespace now: this one, or all of them. */
  mayRead(
    account: { readonly namespace: string; readonly serviceAccount: string },
    secret: string,
  ): boolean;
  /** `listener` is called whenever somebody's rights may have changed. */
  onChange(listener: () => void): void;
}

/**
 * The rights of service accounts to Secrets: `list` of all of the namespace, which Istio asks for
 * by a SubjectAccessReview, or `get` of the one by its name.
 */
export function secretRights(
  authorizer: Authorizer,
  onChange: SecretRights['onChange'],
): SecretRights {
  const may = (verb: string, namespace: string, serviceAccount: string, name: string): boolean => {
    const secrets = { group: '', resource: 'secrets', subresource: '' };
    const access: Access = { type: 'resource', verb, ...secrets, namespace, name };
    return authorizer.authorize(accountCaller(namespace, serviceAccount), access).allowed;
  };
  return {
    mayRead: ({ namespace, serviceAccount }, secret) =>
      may('list', namespace, serviceAccount, '') || may('get', namespace, serviceAccount, secret),
    onChange,
  };
}

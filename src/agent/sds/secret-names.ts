/** The SDS resource with a workload's own key and certificate, as Istio names it. */
export const WORKLOAD_SECRET_NAME = 'default';

/** The SDS resource with the roots that peers are verified against, as Istio names it. */
export const ROOT_SECRET_NAME = 'ROOTCA';

/**
 * The SDS resource with the roots of each trust domain, where the mesh is federated with others.
 */
export const FEDERATED_SECRET_NAME = 'FEDERATED_ROOTCA';

/** What the control plane calls all that it says of trust domains. */
export const TRUST_BUNDLES_NAME = 'SPIFFE_BUNDLES';

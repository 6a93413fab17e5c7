/** The SDS resource with a workload's own key and certificate, as Istio names it. */
export const WORKLOAD_SECRET_NAME = 'default';

/** The SDS resource with the roots that peers are verified against, as Istio names it. */
export const ROOT_SECRET_NAME = 'ROOTCA';

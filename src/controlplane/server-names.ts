/** Names under which agents of Istio, and Kubernetes clients, expect to find a control plane. */
export const SERVER_NAMES = [
  'istiod.istio-system.svc',
  'istiod.istio-system.svc.cluster.local',
  'istiod',
  'bulwark',
  'kubernetes',
  'kubernetes.default.svc',
  'localhost',
];

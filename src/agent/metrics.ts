import { PolicyDecisions } from '#agent/denials/policy-decisions.ts';
import type { Metrics } from '#base/metrics.ts';

/** The metrics of an agent; names as Istio's agent has them where it has one. */
export type AgentMetrics = ReturnType<typeof createAgentMetrics>;

/** Declares the metrics of an agent; once for each registry. */
export function createAgentMetrics(metrics: Metrics) {
  return {
    certExpirySeconds: metrics.gauge<'resource_name' | 'workload'>({
      name: 'cert_expiry_seconds',
      help: 'Seconds until the certificate of a workload expires; negative when it has.',
      labels: ['resource_name', 'workload'],
    }),
    outgoingRequests: metrics.counter<'request_type'>({
      name: 'num_outgoing_requests',
      help: 'Requests to the certificate authority (csr) and the API server (token).',
      labels: ['request_type'],
    }),
    failedOutgoingRequests: metrics.counter<'request_type'>({
      name: 'num_failed_outgoing_requests',
      help: 'Requests of these that failed.',
      labels: ['request_type'],
    }),
    outgoingRetries: metrics.counter<'request_type'>({
      name: 'num_outgoing_retries',
      help: 'Requests of these that followed a failure.',
      labels: ['request_type'],
    }),
    outgoingLatencyMs: metrics.counter<'request_type'>({
      name: 'outgoing_latency',
      help: 'Milliseconds that these requests took, summed.',
      labels: ['request_type'],
    }),
    renewals: metrics.counter({
      name: 'bulwark_agent_certificate_renewals_total',
      help: 'Certificates that replaced an earlier one.',
    }),
    secretPushes: metrics.counter<'resource_name'>({
      name: 'bulwark_agent_secret_pushes_total',
      help: 'Secrets that were pushed to Envoys.',
      labels: ['resource_name'],
    }),
    secretRejects: metrics.counter<'resource_name'>({
      name: 'bulwark_agent_secret_rejects_total',
      help: 'Pushed secrets that an Envoy did not take.',
      labels: ['resource_name'],
    }),
    unknownSecrets: metrics.counter({
      name: 'bulwark_agent_unknown_secrets_total',
      help: 'Secrets that were asked for on the socket of a workload that has none of that name.',
    }),
    envoyRestarts: metrics.counter({
      name: 'bulwark_agent_envoy_restarts_total',
      help: 'Envoys that were started anew.',
    }),
    ...trafficMetrics(metrics),
    policies: policyMetrics(metrics),
    droppedLines: metrics.counter({
      name: 'bulwark_agent_envoy_lines_dropped_total',
      help: 'Lines of Envoys that were too long to be read.',
    }),
  };
}

/** About the connections and requests that Envoys see. */
function trafficMetrics(metrics: Metrics) {
  return {
    connections: metrics.counter<'security'>({
      name: 'bulwark_agent_connections_total',
      help: 'Connections to workloads, with mutual TLS of the mesh (tls) and without (plaintext).',
      labels: ['security'],
    }),
    refused: metrics.counter<'kind'>({
      name: 'bulwark_agent_refused_total',
      help: 'Requests and connections that Envoys refused.',
      labels: ['kind'],
    }),
    audited: metrics.counter<'decision'>({
      name: 'bulwark_agent_audited_total',
      help: 'Requests and connections that AUDIT policies matched.',
      labels: ['decision'],
    }),
    auditLeftOut: metrics.counter({
      name: 'bulwark_agent_audit_left_out_total',
      help: 'Records of these that were not written: there were too many at once.',
    }),
  };
}

/** About rules of policies. */
function policyMetrics(metrics: Metrics): PolicyDecisions {
  const decisions = metrics.counter<'policy' | 'rule' | 'decision'>({
    name: 'bulwark_agent_policy_decisions_total',
    help: 'Requests, and connections that were denied, by the rule that decided; policy "none": no ALLOW rule matched.',
    labels: ['policy', 'rule', 'decision'],
  });
  return new PolicyDecisions((labels, count) => decisions.inc({ ...labels }, count));
}

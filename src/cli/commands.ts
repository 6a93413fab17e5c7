import type { Command } from 'commander';
import type { CliContext } from '#cli/context.ts';

/** Adds one command to the program. */
export type RegisterCommand = (program: Command, context: CliContext) => void;

/** A command, loaded only when it is asked for: starting is part of every answer's time. */
interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** Whether it serves others until it is told to end. */
  readonly runsLong?: true;
  load(): Promise<RegisterCommand>;
}

/** Every command, once, in the order of the help text. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'server',
    summary: 'run the control plane: API server, certificate authority, xDS',
    runsLong: true,
    load: async () => (await import('#cli/commands/server.ts')).registerServerCommand,
  },
  {
    name: 'agent',
    summary: 'run the node agent: keys, certificates and an Envoy for each workload',
    runsLong: true,
    load: async () => (await import('#cli/commands/agent.ts')).registerAgentCommand,
  },
  {
    name: 'run',
    summary: 'run one application with its own agent and Envoy',
    runsLong: true,
    load: async () => (await import('#cli/commands/run.ts')).registerRunCommand,
  },
  {
    name: 'gateway',
    summary: 'run a gateway: an Envoy that takes calls from outside of the mesh',
    runsLong: true,
    load: async () => (await import('#cli/commands/gateway.ts')).registerGatewayCommand,
  },
  {
    name: 'apply',
    summary: 'create or change the objects of YAML or JSON files',
    load: async () => (await import('#cli/commands/apply.ts')).registerApplyCommand,
  },
  {
    name: 'status',
    summary: 'show on how many proxies policies are enforced, and what is wrong with them',
    load: async () => (await import('#cli/commands/status.ts')).registerStatusCommand,
  },
  {
    name: 'validate',
    summary: 'check the objects of YAML or JSON files, without a server',
    load: async () => (await import('#cli/commands/validate.ts')).registerValidateCommand,
  },
  {
    name: 'ca',
    summary: 'the certificate authority: rotation of its root',
    load: async () => (await import('#cli/commands/ca.ts')).registerCaCommand,
  },
  {
    name: 'trust-domain',
    summary: 'show how far a change of the trust domain is',
    load: async () => (await import('#cli/commands/trust-domain.ts')).registerTrustDomainCommand,
  },
  {
    name: 'bundle',
    summary: 'what vouches for the identities of this trust domain and of others',
    load: async () => (await import('#cli/commands/bundle.ts')).registerBundleCommand,
  },
  {
    name: 'cert',
    summary: 'show the certificates that were issued',
    load: async () => (await import('#cli/commands/cert.ts')).registerCertCommand,
  },
  {
    name: 'join',
    summary: 'one-time tokens by which machines join the mesh',
    load: async () => (await import('#cli/commands/join.ts')).registerJoinCommand,
  },
  {
    name: 'user',
    summary: 'let people use the API server as themselves, within their roles',
    load: async () => (await import('#cli/commands/user.ts')).registerUserCommand,
  },
  {
    name: 'jwks',
    summary: 'the keys of the issuers of tokens for end users',
    load: async () => (await import('#cli/commands/jwks.ts')).registerJwksCommand,
  },
  {
    name: 'migrate',
    summary: 'turn objects of older APIs into those of today, and prove that they mean the same',
    load: async () => (await import('#cli/commands/migrate.ts')).registerMigrateCommand,
  },
  {
    name: 'mtls',
    summary: 'who takes mutual TLS, who still calls in plaintext, and whether STRICT is safe',
    load: async () => (await import('#cli/commands/mtls.ts')).registerMtlsCommand,
  },
  {
    name: 'proxy-status',
    summary: 'show which proxies are connected and whether they took their configuration',
    load: async () => (await import('#cli/commands/proxy-status.ts')).registerProxyStatusCommand,
  },
  {
    name: 'can',
    summary: 'whether a call would be allowed',
    load: async () => (await import('#cli/commands/can.ts')).registerCanCommand,
  },
  {
    name: 'explain',
    summary: 'why a call is allowed or denied, and what would change that',
    load: async () => (await import('#cli/commands/explain.ts')).registerExplainCommand,
  },
  {
    name: 'audit-log',
    summary: 'show who was denied what, what AUDIT policies saw, and who changed what',
    load: async () => (await import('#cli/commands/audit-log.ts')).registerAuditLogCommand,
  },
  {
    name: 'would-deny',
    summary: 'which of the calls that were recorded a change of policy would deny',
    load: async () => (await import('#cli/commands/would-deny.ts')).registerWouldDenyCommand,
  },
  {
    name: 'matrix',
    summary: 'who may talk to whom, and what a change of the configuration makes of it',
    load: async () => (await import('#cli/commands/matrix.ts')).registerMatrixCommand,
  },
  {
    name: 'test',
    summary: 'try calls that policies must allow or deny',
    load: async () => (await import('#cli/commands/test.ts')).registerTestCommand,
  },
  {
    name: 'audit',
    summary: 'what in the mesh is weaker than it could be, and what the hardening profiles do',
    load: async () => (await import('#cli/commands/audit.ts')).registerAuditCommand,
  },
  {
    name: 'doctor',
    summary: 'check what an agent on this machine needs, and say what to do',
    load: async () => (await import('#cli/commands/doctor.ts')).registerDoctorCommand,
  },
  {
    name: 'version',
    summary: 'print the version',
    load: async () => (await import('#cli/commands/version.ts')).registerVersionCommand,
  },
];

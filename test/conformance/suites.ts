import type { ConformanceSuite } from './suite.ts';

/** A suite of the data, whether we can run it or not. */
export interface SuiteEntry {
  readonly name: string;
  /** A file or folder of the data without which there is nothing to run. */
  readonly data: string;
  /** Loads the suite; absent while it is not built. */
  load?(): Promise<ConformanceSuite>;
}

/** Every suite that the README of the data names, in its order. */
export const SUITES: readonly SuiteEntry[] = [
  {
    name: 'authz',
    data: 'authz/cases.json',
    load: async () => (await import('./suites/authz.ts')).suite,
  },
  {
    name: 'authn',
    data: 'authn.json',
    load: async () => (await import('./suites/authn.ts')).suite,
  },
  {
    name: 'tls',
    data: 'tls.json',
    load: async () => (await import('./suites/tls.ts')).suite,
  },
  {
    name: 'primitives',
    data: 'primitives.json',
    load: async () => (await import('./suites/primitives.ts')).suite,
  },
  {
    name: 'simulation',
    data: 'simulation.json',
    load: async () => (await import('./suites/simulation.ts')).suite,
  },
  {
    name: 'validation',
    data: 'validation.json',
    load: async () => (await import('./suites/validation.ts')).suite,
  },
  {
    name: 'crds',
    data: 'crds',
    load: async () => (await import('./suites/crds.ts')).suite,
  },
  {
    name: 'datasets',
    data: 'datasets',
    load: async () => (await import('./suites/datasets.ts')).suite,
  },
  { name: 'analyze', data: 'analyze/cases.json' },
  {
    name: 'behaviour',
    data: 'behaviour',
    load: async () => (await import('./suites/behaviour.ts')).suite,
  },
  { name: 'capture', data: 'capture/cases.json' },
  {
    name: 'jwt',
    data: 'jwt/tokens.tsv',
    load: async () => (await import('./suites/jwt.ts')).suite,
  },
  {
    name: 'traffic',
    data: 'traffic/traffic.json',
    load: async () => (await import('./suites/traffic.ts')).suite,
  },
  {
    name: 'traffic-offline',
    data: 'traffic/traffic.json',
    load: async () => (await import('./suites/traffic-offline.ts')).suite,
  },
  {
    name: 'kubeapi',
    data: 'kubeapi',
    load: async () => (await import('./suites/kubeapi.ts')).suite,
  },
];

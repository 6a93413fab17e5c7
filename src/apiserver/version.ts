import { arch, platform } from 'node:process';

/**
 * The Kubernetes version whose API this is; kubectl warns when its own is more than one minor
 * version away.
 */
const KUBERNETES_MINOR = '33';

/** `GET /version`. */
export function versionInfo(): object {
  return {
    major: '1',
    minor: KUBERNETES_MINOR,
    gitVersion: `v1.${KUBERNETES_MINOR}.0+bulwark`,
    gitCommit: '',
    gitTreeState: '',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: '',
    compiler: 'node',
    platform: `${platform}/${arch === 'x64' ? 'amd64' : arch}`,
  };
}

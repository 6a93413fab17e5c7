import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Where downloads and generated code are kept between checkouts: BULWARK_CACHE, or the user's cache
 * directory.
 */
export function cacheDirectory(env) {
  if (env.BULWARK_CACHE) return env.BULWARK_CACHE;
  if (env.XDG_CACHE_HOME) return join(env.XDG_CACHE_HOME, 'bulwark');
  if (process.platform === 'darwin') return join(homedir(), 'Library/Caches/bulwark');
  return join(homedir(), '.cache/bulwark');
}

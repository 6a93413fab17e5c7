/**
 * Servers and requests of `node:http`, for processes that run beside others: an `import` of it
 * reads all that it exports, and with that loads the whole of `fetch` (4 MB and 16 ms).
 */
export const { createServer, request } = process.getBuiltinModule('node:http');

/** Cipher suites of TLS 1.2 that Envoy knows and that have forward secrecy. */
export const CIPHER_SUITES = [
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
] as const;

/** Groups for the key exchange that Envoy knows. */
export const ECDH_CURVES = ['X25519MLKEM768', 'X25519', 'P-256', 'P-384', 'P-521'] as const;

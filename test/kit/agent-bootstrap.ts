/** Parts of a bootstrap that generated configuration needs; agents give them to their Envoys. */
export const AGENT_BOOTSTRAP = {
  // Policies come to long expressions.
  layered_runtime: {
    layers: [{ name: 'test', static_layer: { 're2.max_program_size.error_level': 32_768 } }],
  },
  // For the gates of servers that speak first.
  bootstrap_extensions: [
    {
      name: 'envoy.bootstrap.internal_listener',
      typed_config: {
        '@type':
          'type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener',
      },
    },
  ],
} as const;

{
  'target_defaults': { 'cflags': ['-Wall', '-Wextra'] },
  'targets': [
    {
      'target_name': 'agentsight',
      'dependencies': ['agentsight-launcher'],
      'sources': [
        'native/addon.cc',
        'native/capture.cc',
        'native/drain.cc',
        'native/elf_file.cc',
        'native/error.cc',
        'native/kernel_features.cc',
        'native/libbpf_log.cc',
        'native/link_reaper.cc',
        'native/perf_ring.cc',
        'native/programs.cc',
        'native/ring_reader.cc',
        'native/selection.cc',
        'native/sideband.cc',
        'native/uprobe_multi.cc',
      ],
      # Node's own headers are not written for -Wextra: as system headers they stay quiet.
      'cflags_cc': [
        '-std=c++20',
        '-isystem', '<!(node -p "require(\'path\').dirname(require.resolve(\'node-addon-api/napi.h\'))")',
        '-isystem', '<(node_root_dir)/include/node',
      ],
      'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-fexceptions'],
      'defines': [
        'NAPI_VERSION=8',
        'NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS',
        'NODE_ADDON_API_DISABLE_DEPRECATED',
      ],
      'include_dirs': ['.'],
      'libraries': ['-lbpf', '-lelf', '<(SHARED_INTERMEDIATE_DIR)/agentsight_objects.o'],
      'actions': [
        {
          # gyp does not see what .incbin reads: as inputs of an action the
          # object causes a rebuild when it changes.
          'action_name': 'embed_bpf_object',
          'variables': {
            'conditions': [
              ['target_arch=="arm64"', { 'bpf_dir': 'bpf/prebuilt/arm64' }, { 'bpf_dir': 'bpf/prebuilt/x86_64' }],
            ],
          },
          'inputs': [
            'native/objects.S',
            '<(bpf_dir)/agentsight.bpf.o',
          ],
          'outputs': ['<(SHARED_INTERMEDIATE_DIR)/agentsight_objects.o'],
          'action': ['cc', '-c', '-I<(bpf_dir)', 'native/objects.S', '-o', '<@(_outputs)'],
        },
      ],
    },
    {
      'target_name': 'agentsight-launcher',
      'type': 'executable',
      'sources': ['native/launcher.c'],
      'cflags': ['-std=gnu17'],
    },
  ],
}

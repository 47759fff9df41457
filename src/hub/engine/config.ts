/**
 * The engine's server configuration as XML: the part that cannot be given as a
 * setting. The fsync trio is what makes an acknowledged insert survive power
 * loss; without it nothing of the last seconds is on the disk and the store
 * then refuses to open because of half-written parts.
 */
import { LIMITS } from '../../limits.ts';

const MIB = 1024 * 1024;

type XmlTree = { readonly [name: string]: string | number | XmlTree };

export interface EngineConfigOptions {
  /** Merges stop growing a part beyond this, so that retention can drop little by little. */
  readonly mergedPartBytes: number;
  readonly freeDiskBytes: number;
}

export function engineConfigXml(options: EngineConfigOptions): string {
  return toXml('clickhouse', {
    mark_cache_size: 32 * MIB,
    index_mark_cache_size: 8 * MIB,
    primary_index_cache_size: 16 * MIB,
    uncompressed_cache_size: 0,
    index_uncompressed_cache_size: 0,
    query_condition_cache_size: 8 * MIB,
    mmap_cache_size: 128,
    max_server_memory_usage: LIMITS.engineMemoryBytes,
    background_pool_size: 2,
    background_merges_mutations_concurrency_ratio: 2,
    background_move_pool_size: 1,
    background_fetches_pool_size: 1,
    background_common_pool_size: 2,
    background_schedule_pool_size: 4,
    background_buffer_flush_schedule_pool_size: 1,
    background_message_broker_schedule_pool_size: 1,
    background_distributed_schedule_pool_size: 1,
    merge_tree: {
      fsync_after_insert: 1,
      fsync_part_directory: 1,
      min_rows_to_fsync_after_merge: 1,
      max_suspicious_broken_parts: 100_000,
      min_free_disk_bytes_to_perform_insert: options.freeDiskBytes,
      max_bytes_to_merge_at_max_space_in_pool: options.mergedPartBytes,
      old_parts_lifetime: 30,
      // These three must stay below the pool size times its ratio (4), or the table does not open.
      number_of_free_entries_in_pool_to_lower_max_size_of_merge: 2,
      number_of_free_entries_in_pool_to_execute_mutation: 2,
      number_of_free_entries_in_pool_to_execute_optimize_entire_partition: 2,
    },
  });
}

function toXml(name: string, value: string | number | XmlTree): string {
  const body = typeof value === 'object'
    ? Object.entries(value).map(([key, child]) => toXml(key, child)).join('')
    : escapeXml(String(value));
  return `<${name}>${body}</${name}>\n`;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

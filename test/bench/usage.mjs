/**
 * Preloaded (`node --import`) into the collector that is being measured: at its
 * end it writes what the process used, over all of its threads, to the file in
 * BENCH_USAGE. VmHWM and not ru_maxrss, which a process inherits from whoever
 * started it.
 */
import { readFileSync, writeFileSync } from 'node:fs';

process.on('exit', () => {
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'latin1'));
  writeFileSync(process.env.BENCH_USAGE, JSON.stringify({ cpu: process.cpuUsage(), peakRssKiB: Number(peak?.[1]) }));
});

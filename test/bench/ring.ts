/**
 * From the ring to JavaScript: a traced child writes chunks that make records of
 * 256 bytes while this process drains them through the addon and walks every
 * record. Nothing is decoded. The child writes somewhat faster than the target
 * rate, at which nothing may be lost; then as fast as it can, to show where the
 * ceiling is and that what does not fit is counted.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { CAPTURE_DEFAULTS, loadAddon, type Batch, type Capture } from '../../src/addon.ts';
import { COUNTER, COUNTER_SOURCE, RECORD_KIND, SIZE } from '../../src/decode/layout.ts';
import { countedOf } from '../../src/runners/loss.ts';
import { median, type Bench, type BenchContext, type Figure } from './figure.ts';
import { readReport, runProgram } from './run-program.ts';

const COUNT = 2_000_000;
const RUNS = 3;
const TARGET_PER_SECOND = 1_000_000;
/** A child that paces itself falls behind at times; its average must stay above the target. */
const PACED_PER_SECOND = 1_100_000;
const UNPACED = 0;
const RECORD_BYTES = 256;
/** What is left of the record after struct stdio_data. */
export const CHUNK_BYTES = RECORD_BYTES - SIZE.stdio_data;
const PER_MICROSECOND = 1000;

export const ringBench: Bench = {
  name: 'ring',
  about: `ring buffer to JavaScript, ${COUNT.toLocaleString('en')} records of ${RECORD_BYTES} B, ${RUNS} runs`,
  run,
};

interface RingRun {
  readonly perSecond: number;
  readonly lost: number;
  readonly cpuUs: number;
  readonly tracedWriteUs: number;
}

async function run(context: BenchContext): Promise<readonly Figure[]> {
  const flood = context.compile('flood');
  const bareWriteUs = await bareWrite(flood, context.directory);
  const runs = await floodRuns(context, flood, PACED_PER_SECOND);
  const unpaced = await floodRuns(context, flood, UNPACED);
  const walkUs = walkFloor();
  const cpuUs = median(runs.map((one) => one.cpuUs));
  const tracedWriteUs = median(unpaced.map((one) => one.tracedWriteUs));
  const how = `median of ${RUNS} runs; a traced child floods write(2) to /dev/null at ${PACED_PER_SECOND.toLocaleString('en')}/s`;
  return [
    {
      bench: 'ring', name: 'records a second', unit: '/s', target: { kind: 'at least', value: TARGET_PER_SECOND },
      value: median(runs.map((one) => one.perSecond)),
      floor: { value: 1e6 / bareWriteUs, what: 'the same child untraced' },
      method: `${how}; from its first write until the last record was walked here`,
    },
    {
      bench: 'ring', name: 'records lost', unit: '', target: { kind: 'at most', value: 0 },
      value: runs.reduce((sum, one) => sum + one.lost, 0), floor: null,
      method: `writes of the child minus records walked, all ${RUNS} runs together`,
    },
    {
      bench: 'ring', name: 'CPU per record', unit: 'µs', target: { kind: 'at most', value: 0.5 }, value: cpuUs,
      floor: { value: walkUs, what: 'copying and walking the same records in memory, no kernel, no threads' },
      method: `${how}; process.cpuUsage of this process, all threads`,
    },
    {
      bench: 'ring', name: 'unpaced: records a second', unit: '/s', target: null,
      value: median(unpaced.map((one) => one.perSecond)),
      floor: { value: 1e6 / bareWriteUs, what: 'the same child untraced' },
      method: `the child writes as fast as it can; ${unpaced.reduce((sum, one) => sum + one.lost, 0).toLocaleString('en')} of ${(RUNS * COUNT).toLocaleString('en')} records lost, each counted by the kernel`,
    },
    {
      bench: 'ring', name: 'cost to the traced program', unit: 'µs per write', target: null, value: tracedWriteUs,
      floor: { value: bareWriteUs, what: 'the same write untraced' },
      method: 'wall time of the loop over its writes, unpaced',
    },
  ];
}

async function floodRuns(context: BenchContext, flood: string, perSecond: number): Promise<readonly RingRun[]> {
  const runs: RingRun[] = [];
  for (let number = 1; number <= RUNS; number++) {
    const measured = await floodRing({ flood, perSecond, report: join(context.directory, 'traced.json') });
    const pace = perSecond === UNPACED ? 'unpaced' : 'paced';
    context.note(`${pace} run ${number}: ${Math.round(measured.perSecond).toLocaleString('en')} records/s, ${measured.lost} lost`);
    runs.push(measured);
  }
  return runs;
}

interface Flood {
  readonly flood: string;
  readonly perSecond: number;
  readonly report: string;
}

async function bareWrite(flood: string, directory: string): Promise<number> {
  const report = join(directory, 'bare.json');
  const times: number[] = [];
  for (let number = 0; number < RUNS; number++) {
    await runProgram(flood, [String(COUNT), String(CHUNK_BYTES), '0', report]);
    times.push(readReport(report).wallNs / PER_MICROSECOND / COUNT);
  }
  return median(times);
}

async function floodRing(options: Flood): Promise<RingRun> {
  const capture = loadAddon().openCapture({
    ...CAPTURE_DEFAULTS,
    families: ['process', 'stdio'],
  });
  try {
    return await drainFlood(capture, options);
  } finally {
    capture.close();
  }
}

async function drainFlood(capture: Capture, { flood, perSecond, report }: Flood): Promise<RingRun> {
  let records = 0;
  capture.load();
  const child = spawn(flood, [String(COUNT), String(CHUNK_BYTES), String(perSecond), report, 'go'], { stdio: ['pipe', 'ignore', 'inherit'] });
  if (child.pid === undefined || child.stdin === null) throw new Error('the flood did not start');
  capture.trace(child.pid, child.pid);
  capture.start((batch) => { records += countRecords(batch); });
  const startNs = process.hrtime.bigint();
  const cpu = process.cpuUsage();
  child.stdin.end('g');
  const [code] = (await once(child, 'exit')) as [number | null];
  await capture.drain();
  const used = process.cpuUsage(cpu);
  const wallNs = Number(process.hrtime.bigint() - startNs);
  if (code !== 0) throw new Error(`the flood ended with ${code}`);
  const counted = countedOf(capture.kernelCounters(), COUNTER_SOURCE.COUNT_STDIO, COUNTER.COUNT_RING_FULL);
  if (counted !== COUNT - records) throw new Error(`${COUNT - records} records are missing, ${counted} are counted as lost`);
  return {
    perSecond: records / (wallNs / 1e9),
    lost: counted,
    cpuUs: (used.user + used.system) / records,
    tracedWriteUs: readReport(report).wallNs / PER_MICROSECOND / COUNT,
  };
}

/** Walks the batch as a decoder does and counts the records of the flood: the read of the go byte has another size. */
function countRecords(batch: Batch): number {
  let found = 0;
  for (let offset = 0; offset < batch.length;) {
    const size = batch.readUInt32LE(offset);
    if (size === 0) throw new Error('a record of no size');
    if (size === RECORD_BYTES && batch.readUInt16LE(offset + 4) === RECORD_KIND.RECORD_STDIO_DATA) found += 1;
    offset += size;
  }
  return found;
}

/** Microseconds per record for one copy and one walk of records that are already in memory. */
function walkFloor(): number {
  const perBatch = 4096;
  const source = Buffer.alloc(RECORD_BYTES * perBatch);
  for (let offset = 0; offset < source.length; offset += RECORD_BYTES) {
    source.writeUInt32LE(RECORD_BYTES, offset);
    source.writeUInt16LE(RECORD_KIND.RECORD_STDIO_DATA, offset + 4);
  }
  const target = Buffer.alloc(source.length);
  const cpu = process.cpuUsage();
  let walked = 0;
  while (walked < COUNT) {
    source.copy(target);
    walked += countRecords(target);
  }
  const used = process.cpuUsage(cpu);
  return (used.user + used.system) / walked;
}
